//! Pictures that show their prompt over a gradient.

use std::io::Cursor;

use anyhow::Context;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{ExtendedColorType, ImageEncoder, RgbImage};
use serde_json::{Map, Value};

use super::blob::Blob;
use super::font::Writer;
use super::{Format, Wish, png};
use crate::ids::{SplitMix, fnv};

/// Pixels of a picture unless a resolution is asked for.
const AREA: f64 = 768.0 * 768.0;
const AREA_MAX: f64 = 1024.0 * 1024.0;

/// A picture of the caption in the asked proportions.
pub(super) fn still(wish: &Wish<'_>) -> anyhow::Result<Blob> {
    let (width, height) = dimensions(wish.input);
    let mut canvas = gradient(width, height, fnv(wish.caption) ^ wish.variant.wrapping_mul(0x51_7CC1));
    Writer::new(&mut canvas).write(wish.caption);
    let encoded = encode(&canvas, wish.format).context("a result picture could not be encoded")?;
    if wish.format == Format::Png {
        return Ok(png::annotate(encoded, wish.caption, wish.bytes));
    }
    let mut blob = Blob::default();
    let missing = wish.bytes.unwrap_or(0).saturating_sub(encoded.len() as u64);
    blob.push(encoded);
    blob.push_zeros(missing);
    Ok(blob)
}

fn encode(canvas: &RgbImage, format: Format) -> image::ImageResult<Vec<u8>> {
    let mut out = Cursor::new(Vec::new());
    let (raw, width, height, color) =
        (canvas.as_raw(), canvas.width(), canvas.height(), ExtendedColorType::Rgb8);
    match format {
        Format::Jpeg => JpegEncoder::new_with_quality(&mut out, 85).write_image(raw, width, height, color)?,
        Format::Webp => WebPEncoder::new_lossless(&mut out).write_image(raw, width, height, color)?,
        _ => PngEncoder::new_with_quality(&mut out, CompressionType::Fast, FilterType::Sub)
            .write_image(raw, width, height, color)?,
    }
    Ok(out.into_inner())
}

/// A diagonal gradient: each row is a window into one line of colours, moved by one pixel.
fn gradient(width: u32, height: u32, seed: u64) -> RgbImage {
    let mut mix = SplitMix::new(seed);
    let stops = [pleasant(&mut mix), pleasant(&mut mix), pleasant(&mut mix)];
    let length = width + height;
    let line: Vec<u8> = (0..length).flat_map(|place| blend(&stops, place, length)).collect();
    let mut raw = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height as usize {
        raw.extend_from_slice(&line[y * 3..(y + width as usize) * 3]);
    }
    RgbImage::from_raw(width, height, raw).unwrap_or_else(|| RgbImage::new(width, height))
}

/// A colour of middle brightness, so that white text stands out.
fn pleasant(mix: &mut SplitMix) -> [u8; 3] {
    let [a, b, c, ..] = mix.next().to_le_bytes();
    [30 + a / 2, 30 + b / 2, 60 + c / 2]
}

fn blend(stops: &[[u8; 3]; 3], place: u32, length: u32) -> [u8; 3] {
    let at = place * 512 / length.max(1);
    let (from, to, part) = if at < 256 { (stops[0], stops[1], at) } else { (stops[1], stops[2], at - 256) };
    let channel = |i: usize| {
        let mixed = u32::from(from[i]) * (256 - part.min(256)) + u32::from(to[i]) * part.min(256);
        u8::try_from(mixed / 256).unwrap_or(u8::MAX)
    };
    [channel(0), channel(1), channel(2)]
}

/// Width and height in pixels, multiples of 8, of about the asked area.
pub(super) fn dimensions(input: &Map<String, Value>) -> (u32, u32) {
    let text = |key: &str| input.get(key).and_then(Value::as_str);
    let named =
        ["aspect_ratio", "image_size", "size", "aspectRatio"].iter().find_map(|key| ratio(text(key)?));
    let ratio = named.unwrap_or(1.0);
    let area = if text("resolution").is_some_and(|word| word != "512") { AREA_MAX } else { AREA };
    let width = (area * ratio).sqrt();
    (pixels(width), pixels(width / ratio))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to a small positive range"
)]
fn pixels(length: f64) -> u32 {
    (length.clamp(64.0, 2048.0) / 8.0).round() as u32 * 8
}

/// `16:9`, `1024x768`, `1024*768`, `portrait_4_3`, `square_hd` as width over height.
fn ratio(text: &str) -> Option<f64> {
    let pair = |text: &str, by: char| {
        let (width, height) = text.split_once(by)?;
        let (width, height) = (width.parse::<f64>().ok()?, height.parse::<f64>().ok()?);
        (width > 0.0 && height > 0.0).then(|| (width / height).clamp(0.1, 10.0))
    };
    if text.starts_with("square") {
        return Some(1.0);
    }
    if let Some(sides) = text.strip_prefix("portrait_") {
        return pair(sides, '_').map(|ratio| ratio.min(1.0 / ratio));
    }
    if let Some(sides) = text.strip_prefix("landscape_") {
        return pair(sides, '_').map(|ratio| ratio.max(1.0 / ratio));
    }
    [':', 'x', '*'].into_iter().find_map(|by| pair(text, by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proportions_are_read_in_every_spelling() {
        let size = |key: &str, value: &str| dimensions(serde_json::json!({key: value}).as_object().unwrap());
        assert_eq!(size("aspect_ratio", "1:1"), (768, 768));
        assert_eq!(size("aspect_ratio", "16:9"), (1024, 576));
        assert_eq!(size("image_size", "portrait_16_9"), (576, 1024));
        assert_eq!(size("image_size", "landscape_4_3"), (888, 664));
        assert_eq!(size("resolution", "2K"), (1024, 1024));
        assert_eq!(size("aspect_ratio", "auto"), (768, 768));
    }
}
