//! What models are stacked from.

mod dropout;
mod encoder_block;
mod time_space;

pub(crate) use dropout::drawn_seed;
pub use dropout::dropout;
pub(crate) use encoder_block::EncoderBlockConfig;
pub use encoder_block::{Encoder, EncoderBlock, EncoderConfig, NormPlace};
pub use time_space::{
    TimeSpaceEmbedding, TimeSpaceEmbeddingConfig, TimeSpaceReadout, TimeSpaceReadoutConfig,
};
