//! The rows of the table that need no gradient: counts of the training part.

use regard_data::text::TokenPart;

use super::data::Language;
use crate::classical::{NGrams, Order};
use crate::metric::language::TokenScores;
use crate::report::LanguageRow;

/// Every order, on validation and test part.
pub(super) fn all(data: &Language) -> Vec<LanguageRow> {
    let counts = NGrams::fit(&data.train.tokens, data.shape.vocabulary);
    let row = |order: Order| {
        let score = |part: &TokenPart| {
            (part.n_predicted() > 0).then(|| {
                let nats = counts.nats(order, &part.tokens);
                TokenScores::new(nats, part.n_predicted(), part.n_predicted_characters)
            })
        };
        LanguageRow {
            name: order.name().to_owned(),
            is_baseline: true,
            validation: score(&data.validation),
            test: score(&data.test),
            ..LanguageRow::default()
        }
    };
    Order::ALL.map(row).to_vec()
}
