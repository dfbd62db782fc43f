//! The models that the stories order.

use serde_json::{Value, json};

/// A paid image; its price is 1.00 in every [`World`](crate::World).
pub const IMAGE: &str = "google/nano-banana";
/// A paid video.
pub const VIDEO: &str = "kling-2.6/text-to-video";
/// Paid speech.
pub const SPEECH: &str = "elevenlabs/text-to-speech-turbo-2-5";
/// Text: a JSON answer instead of files.
pub const LYRICS: &str = "ai-music-api/generate-lyrics";
/// An image model that takes `num_images`; free by default.
pub const IMAGES: &str = "qwen/image-edit";
/// What is given away by default.
pub const FREE: [&str; 4] = ["z-image", "qwen/text-to-image", "qwen/image-to-image", "qwen/image-edit"];

/// An input of a prompt alone; marks of the simulator such as `[sim:create=429]` go into the text.
pub fn prompt(text: &str) -> Value {
    json!({ "prompt": text })
}
