//! Small WebP stills of pictures. The decoders meet hostile files, so size, memory and number are limited.

use std::{io::Cursor, sync::Arc, time::Duration};

use bytes::Bytes;
use fast_image_resize::{PixelType, Resizer, images};
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits};
use tokio::sync::Semaphore;

use crate::{error::MediaError, store::MediaStore};

/// What making a thumbnail may cost.
#[derive(Debug, Clone)]
pub struct ThumbnailLimits {
    /// The longest file that is read, in bytes.
    pub bytes_max: u64,
    /// The longest side of a picture that is decoded, in pixels.
    pub source_side_max: u32,
    /// Memory that decoding may take, in bytes.
    pub memory_max: u64,
    /// The longest side of a thumbnail, in pixels; smaller pictures keep their size.
    pub side_max: u32,
    /// Quality of the WebP, 0 to 100.
    pub quality: f32,
    /// Thumbnails made at the same time.
    pub parallel: usize,
    /// How long a caller waits for one; the decoder itself cannot be stopped and keeps its place until it ends.
    pub timeout: Duration,
}

impl Default for ThumbnailLimits {
    fn default() -> Self {
        Self {
            bytes_max: 64 * 1024 * 1024,
            source_side_max: 16_384,
            memory_max: 256 * 1024 * 1024,
            side_max: 512,
            quality: 80.0,
            parallel: 1,
            timeout: Duration::from_secs(30),
        }
    }
}

/// A small still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thumb {
    /// The WebP file.
    pub webp: Vec<u8>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Why there is no thumbnail; the file itself is untouched by it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ThumbnailError {
    /// Larger than the limits allow, or said to be.
    #[error("picture is too large for a thumbnail")]
    TooLarge,
    /// No picture, or a broken one, or of a type without decoder (AVIF).
    #[error("picture cannot be decoded")]
    Undecodable(#[source] Option<ImageError>),
    /// The decoder crashed.
    #[error("decoder crashed")]
    Crashed,
    /// It took too long, or too many others were in front.
    #[error("thumbnail took too long")]
    Slow,
    /// Our storage has trouble.
    #[error("our storage has trouble")]
    Storage(#[from] MediaError),
}

impl ThumbnailError {
    /// Whether the same picture may succeed in another try: the decoder or the storage failed, not the picture.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Crashed | Self::Storage(_))
    }
}

/// Makes thumbnails, a few at a time; cheap to clone.
#[derive(Debug, Clone)]
pub struct Thumbnailer {
    limits: ThumbnailLimits,
    places: Arc<Semaphore>,
}

impl Thumbnailer {
    /// A maker with these limits.
    pub fn new(limits: ThumbnailLimits) -> Self {
        let places = Arc::new(Semaphore::new(limits.parallel.max(1)));
        Self { limits, places }
    }

    /// The thumbnail of a PNG, JPEG, WebP or GIF (its first frame), turned upright.
    pub async fn thumbnail(&self, picture: Bytes) -> Result<Thumb, ThumbnailError> {
        if picture.len() as u64 > self.limits.bytes_max {
            return Err(ThumbnailError::TooLarge);
        }
        let work = async {
            let place =
                Arc::clone(&self.places).acquire_owned().await.map_err(|_cause| ThumbnailError::Crashed)?;
            let limits = self.limits.clone();
            let made = tokio::task::spawn_blocking(move || {
                let made = make(&picture, &limits);
                drop(place);
                made
            });
            made.await.map_err(|_cause| ThumbnailError::Crashed)?
        };
        tokio::time::timeout(self.limits.timeout, work).await.map_err(|_cause| ThumbnailError::Slow)?
    }

    /// Reads a picture from the storage and stores its thumbnail under another name; see [`crate::key::thumbnail`].
    pub async fn keep(
        &self,
        store: &MediaStore,
        picture: &str,
        thumbnail: &str,
    ) -> Result<Thumb, ThumbnailError> {
        let info = store.head(picture).await?;
        if info.bytes > self.limits.bytes_max {
            return Err(ThumbnailError::TooLarge);
        }
        let thumb = self.thumbnail(store.get_bytes(picture, self.limits.bytes_max).await?).await?;
        store.put_bytes(thumbnail, "image/webp", thumb.webp.clone().into()).await?;
        Ok(thumb)
    }
}

fn make(picture: &[u8], limits: &ThumbnailLimits) -> Result<Thumb, ThumbnailError> {
    let decoded = decode(picture, limits)?;
    let (width, height) = fitted(decoded.width(), decoded.height(), limits.side_max);
    let opaque = !decoded.color().has_alpha();
    let webp = if opaque {
        let small = resized(decoded.into_rgb8().into(), (width, height), PixelType::U8x3)?;
        webp::Encoder::from_rgb(&small, width, height).encode_simple(false, limits.quality)
    } else {
        let small = resized(decoded.into_rgba8().into(), (width, height), PixelType::U8x4)?;
        webp::Encoder::from_rgba(&small, width, height).encode_simple(false, limits.quality)
    };
    let webp = webp.map_err(|_cause| ThumbnailError::Undecodable(None))?.to_vec();
    Ok(Thumb { webp, width, height })
}

fn decode(file: &[u8], limits: &ThumbnailLimits) -> Result<DynamicImage, ThumbnailError> {
    let mut reader = ImageReader::new(Cursor::new(file))
        .with_guessed_format()
        .map_err(|error| ThumbnailError::Undecodable(Some(error.into())))?;
    let mut allowed = Limits::default();
    allowed.max_image_width = Some(limits.source_side_max);
    allowed.max_image_height = Some(limits.source_side_max);
    allowed.max_alloc = Some(limits.memory_max);
    reader.limits(allowed);
    let mut decoder = reader.into_decoder().map_err(undecodable)?;
    // Not every decoder counts the picture itself, so it is counted here.
    if decoder.total_bytes() > limits.memory_max {
        return Err(ThumbnailError::TooLarge);
    }
    let orientation = decoder.orientation().map_err(undecodable)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(undecodable)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn resized(
    picture: DynamicImage,
    (width, height): (u32, u32),
    pixel: PixelType,
) -> Result<Vec<u8>, ThumbnailError> {
    let unusable = |_| ThumbnailError::Undecodable(None);
    let (from_width, from_height) = (picture.width(), picture.height());
    let source =
        images::Image::from_vec_u8(from_width, from_height, picture.into_bytes(), pixel).map_err(unusable)?;
    if (width, height) == (from_width, from_height) {
        return Ok(source.into_vec());
    }
    let mut small = images::Image::new(width, height, pixel);
    Resizer::new().resize(&source, &mut small, None).map_err(|_cause| ThumbnailError::Undecodable(None))?;
    Ok(small.into_vec())
}

/// The size whose longer side is at most `side_max`, in the same proportion, never larger, never zero.
fn fitted(width: u32, height: u32, side_max: u32) -> (u32, u32) {
    let longest = width.max(height);
    if longest <= side_max {
        return (width, height);
    }
    let scaled = |side: u32| {
        let rounded = (u64::from(side) * u64::from(side_max) + u64::from(longest) / 2) / u64::from(longest);
        u32::try_from(rounded).unwrap_or(side_max).clamp(1, side_max)
    };
    (scaled(width), scaled(height))
}

fn undecodable(error: ImageError) -> ThumbnailError {
    match error {
        ImageError::Limits(_) => ThumbnailError::TooLarge,
        other => ThumbnailError::Undecodable(Some(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_their_proportion() {
        let cases = [
            ((1024, 1024), (512, 512)),
            ((1920, 1080), (512, 288)),
            ((100, 50), (100, 50)),
            ((10_000, 1), (512, 1)),
            ((3, 6000), (1, 512)),
        ];
        for ((width, height), expected) in cases {
            assert_eq!(fitted(width, height, 512), expected, "{width}x{height}");
        }
    }
}
