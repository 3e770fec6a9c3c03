//! Text as tokens: a file becomes three parts of token numbers, and windows of them.
//!
//! ```text
//! file → Text → TextSplit → Tokenizer → TokenPart → TrainingWindows, scoring_windows
//! ```
//!
//! The first characters train, those after them validate, the last ones test: text has no gap to cut
//! at, so the parts touch, and no window reaches over their borders.

mod error;
mod part;
mod source;
mod subword;
mod tokenizer;
mod vocabulary;
mod window;

pub use error::TextError;
pub use part::{TextSplit, TokenPart};
pub use source::Text;
pub use subword::Subwords;
pub use tokenizer::{Tokenizer, TokenizerConfig};
pub use vocabulary::Vocabulary;
pub use window::{TrainingWindows, check_window, scoring_windows};
