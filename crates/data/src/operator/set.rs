//! Pairs of functions on common points.

use super::{OperatorError, Points, ScalarNormalization};

/// Functions on the points of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Functions {
    /// Name of each channel.
    pub channels: Vec<String>,
    /// `[samples, points, channels]`, in physical units.
    pub values: Vec<f64>,
}

/// Pairs of an input and an output function, all known at the same points; finite and not empty.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionSet {
    points: Points,
    inputs: Functions,
    outputs: Functions,
}

impl Functions {
    /// Functions from the names of their channels and their values, `[samples, points, channels]`.
    #[must_use]
    pub fn new<S: Into<String>>(channels: impl IntoIterator<Item = S>, values: Vec<f64>) -> Self {
        Self { channels: channels.into_iter().map(Into::into).collect(), values }
    }

    /// Values of a function on `points` points.
    fn width(&self, points: usize) -> usize {
        points * self.channels.len()
    }

    /// Number of functions, after a look at every value.
    fn check(&self, what: &'static str, points: usize) -> Result<usize, OperatorError> {
        let (width, channels) = (self.width(points), self.channels.len());
        if channels == 0 {
            return Err(OperatorError::NoChannels { what });
        }
        let found = self.values.len();
        if !found.is_multiple_of(width) {
            return Err(OperatorError::NotWholeSamples { what, found, points, channels });
        }
        match self.values.iter().position(|value| !value.is_finite()) {
            None => Ok(found / width),
            Some(at) => Err(OperatorError::NotFinite {
                what,
                sample: at / width,
                point: at % width / channels,
                channel: self.channels[at % channels].clone(),
                found: self.values[at],
            }),
        }
    }

    fn select(&self, points: usize, samples: &[usize]) -> Self {
        let width = self.width(points);
        let sample = |&i: &usize| &self.values[i * width..(i + 1) * width];
        let values = samples.iter().flat_map(sample).copied().collect();
        Self { channels: self.channels.clone(), values }
    }
}

impl FunctionSet {
    /// Pairs from functions on common points.
    ///
    /// # Errors
    /// [`OperatorError`] if the points are in no order, if values are missing, too many or not
    /// finite, or if there is no sample.
    pub fn new(
        points: Points,
        inputs: Functions,
        outputs: Functions,
    ) -> Result<Self, OperatorError> {
        points.check()?;
        let n_inputs = inputs.check("input", points.count())?;
        let n_outputs = outputs.check("output", points.count())?;
        if n_inputs != n_outputs {
            return Err(OperatorError::Unpaired { inputs: n_inputs, outputs: n_outputs });
        }
        if n_inputs == 0 {
            return Err(OperatorError::NoSamples);
        }
        Ok(Self { points, inputs, outputs })
    }

    /// Where the functions are known.
    #[must_use]
    pub fn points(&self) -> &Points {
        &self.points
    }

    /// The input functions.
    #[must_use]
    pub fn inputs(&self) -> &Functions {
        &self.inputs
    }

    /// The output functions.
    #[must_use]
    pub fn outputs(&self) -> &Functions {
        &self.outputs
    }

    /// Number of pairs.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.inputs.values.len() / self.inputs.width(self.points.count())
    }

    /// The input of a sample, `[points, channels]`.
    ///
    /// # Panics
    /// If `sample` is not below [`FunctionSet::samples`].
    #[must_use]
    pub fn input(&self, sample: usize) -> &[f64] {
        let width = self.inputs.width(self.points.count());
        &self.inputs.values[sample * width..(sample + 1) * width]
    }

    /// The output of a sample, `[points, channels]`.
    ///
    /// # Panics
    /// If `sample` is not below [`FunctionSet::samples`].
    #[must_use]
    pub fn output(&self, sample: usize) -> &[f64] {
        let width = self.outputs.width(self.points.count());
        &self.outputs.values[sample * width..(sample + 1) * width]
    }

    /// The pairs with these numbers, in this order.
    ///
    /// # Errors
    /// [`OperatorError::NoSamples`] if there are none.
    ///
    /// # Panics
    /// If a number is not below [`FunctionSet::samples`].
    pub fn select(&self, samples: &[usize]) -> Result<Self, OperatorError> {
        if samples.is_empty() {
            return Err(OperatorError::NoSamples);
        }
        let points = self.points.count();
        Ok(Self {
            points: self.points.clone(),
            inputs: self.inputs.select(points, samples),
            outputs: self.outputs.select(points, samples),
        })
    }

    /// The statistics of the inputs and of the outputs; the set is to be the training part alone.
    #[must_use]
    pub fn normalization(&self) -> [ScalarNormalization; 2] {
        [&self.inputs, &self.outputs].map(|functions| ScalarNormalization::fit(&functions.values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three samples on two points, one input channel and two output channels.
    fn set() -> FunctionSet {
        let inputs = Functions::new(["a"], (0..6).map(f64::from).collect());
        let outputs = Functions::new(["u", "v"], (0..12).map(f64::from).collect());
        FunctionSet::new(Points::Line(vec![0.0, 0.3]), inputs, outputs).unwrap()
    }

    fn refused(inputs: Functions, outputs: Functions) -> String {
        let points = Points::Line(vec![0.0, 0.3]);
        FunctionSet::new(points, inputs, outputs).unwrap_err().to_string()
    }

    #[test]
    fn samples_are_blocks_of_points_and_channels() {
        let set = set();
        assert_eq!(
            (set.samples(), set.input(1), set.output(2)),
            (3, &[2.0, 3.0][..], &[8.0, 9.0, 10.0, 11.0][..])
        );
        let two = set.select(&[2, 0]).unwrap();
        assert_eq!(two.inputs().values, [4.0, 5.0, 0.0, 1.0]);
        assert_eq!((two.output(1), two.points()), (set.output(0), set.points()));
        assert_eq!(
            set.select(&[]).unwrap_err().to_string(),
            "found no samples, expected at least one pair of functions"
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let good = |n: usize| Functions::new(["a", "b"], vec![0.5; n]);
        assert_eq!(
            refused(good(8), good(7)),
            "found 7 output values, expected a multiple of 4 = 2 points × 2 channels"
        );
        assert_eq!(
            refused(good(8), good(4)),
            "found 1 output functions for 2 input functions, expected one for each"
        );
        assert_eq!(
            refused(good(0), good(0)),
            "found no samples, expected at least one pair of functions"
        );
        let none = Functions::new(Vec::<String>::new(), vec![]);
        assert_eq!(
            refused(none, good(4)),
            "the input functions have no channel, expected at least one"
        );
        let mut wrong = good(12);
        wrong.values[7] = f64::NEG_INFINITY; // 1 · 4 + 1 · 2 + 1
        assert_eq!(
            refused(wrong, good(12)),
            "input of sample 1, point 1, channel \"b\": found -inf, expected a finite number; \
             remove the sample or complete it"
        );
    }
}
