//! The standard set of baselines, each fitted or with the reason why not.

use serde::{Deserialize, Serialize};

use super::{
    Classical, ClassicalError, Climatology, DLinearConfig, EsnConfig, LinearArConfig, NvarConfig,
    Persistence, PolynomialConfig, SeriesView,
};

/// Configuration of [`baselines`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BaselinesConfig {
    /// Linear autoregression.
    pub linear_ar: LinearArConfig,
    /// Trend and remainder of each channel.
    pub dlinear: DLinearConfig,
    /// Nonlinear vector autoregression.
    pub nvar: NvarConfig,
    /// Polynomial map.
    pub polynomial: PolynomialConfig,
    /// Echo state network.
    pub esn: EsnConfig,
}

/// One row of the table of baselines.
#[derive(Debug)]
pub struct Baseline {
    /// As [`Classical::name`], known also where the fit failed.
    pub name: &'static str,
    /// The fitted method, or why there is none.
    pub method: Result<Box<dyn Classical>, ClassicalError>,
}

/// Fits persistence, climatology, linear autoregression, DLinear, NVAR, the polynomial map and the
/// echo state network, in this order.
///
/// A method that cannot be fitted to these series keeps its row and says why.
///
/// # Panics
/// If the series differ in their number of channels.
#[must_use]
pub fn baselines(config: &BaselinesConfig, series: &[SeriesView]) -> Vec<Baseline> {
    fn row<C: Classical + 'static>(
        name: &'static str,
        method: Result<C, ClassicalError>,
    ) -> Baseline {
        Baseline { name, method: method.map(|method| Box::new(method) as Box<dyn Classical>) }
    }
    vec![
        row("persistence", Ok(Persistence)),
        row("climatology", Climatology::fit(series)),
        row("linear-ar", config.linear_ar.fit(series)),
        row("dlinear", config.dlinear.fit(series)),
        row("nvar", config.nvar.fit(series)),
        row("polynomial", config.polynomial.fit(series)),
        row("esn", config.esn.fit(series)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_cannot_be_fitted_does_not_take_the_others_with_it() {
        // 200 channels: two lags give 401 linear features and 80601 quadratic ones.
        let values: Vec<f64> = (0..200 * 30u32).map(|i| f64::from(i * i % 97)).collect();
        let linear_ar = LinearArConfig { lags: 2, ..LinearArConfig::default() };
        let esn = EsnConfig { nodes: 20, ridge: 1e-6, washout: 9, ..EsnConfig::default() };
        let config = BaselinesConfig { linear_ar, esn, ..BaselinesConfig::default() };
        let rows = baselines(&config, &[SeriesView::new(&values, 200)]);
        let names: Vec<_> = rows.iter().map(|row| row.name).collect();
        let (before, after) = (["persistence", "climatology", "linear-ar"], ["polynomial", "esn"]);
        assert_eq!(names, [&before[..], &["dlinear", "nvar"], &after].concat());
        for row in rows.iter().filter(|row| row.name != "nvar" && row.name != "dlinear") {
            assert_eq!(row.method.as_ref().unwrap().name(), row.name);
        }
        assert!(matches!(rows[3].method, Err(ClassicalError::TooShort { needed: 33, .. })));
        let error = rows[4].method.as_ref().unwrap_err();
        assert!(matches!(error, ClassicalError::TooManyFeatures { features: 80601, .. }));
    }

    #[test]
    fn a_configuration_names_its_unknown_keys() {
        let config: BaselinesConfig = toml::from_str("nvar.degree = 3").unwrap();
        assert_eq!(config.nvar, NvarConfig { degree: 3, ..NvarConfig::default() });
        let error = toml::from_str::<BaselinesConfig>("nvar.order = 3").unwrap_err();
        assert!(error.to_string().contains("unknown field `order`"), "{error}");
    }
}
