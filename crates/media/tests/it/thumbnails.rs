//! Thumbnails of real pictures, and of files that only want memory.

use bytes::Bytes;
use image::ImageFormat;
use media::{ThumbnailError, ThumbnailLimits, Thumbnailer, key};

use crate::{copying::folder_store, samples};

fn thumbnailer() -> Thumbnailer {
    Thumbnailer::new(ThumbnailLimits::default())
}

#[tokio::test]
async fn pictures_of_every_kept_type_become_small_webp_stills() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Gif] {
        let picture = samples::encoded(&samples::picture(560, 420), format);
        let thumb = thumbnailer().thumbnail(picture.into()).await.unwrap();
        assert_eq!((thumb.width, thumb.height), (512, 384), "{format:?}");
        assert_eq!(media::sniff(&thumb.webp), Some("image/webp"));
        let shown = image::load_from_memory(&thumb.webp).unwrap().into_rgb8();
        assert_eq!(shown.dimensions(), (512, 384));
        let (left, right) = (shown.get_pixel(5, 200), shown.get_pixel(506, 200));
        assert!(right[0] > left[0] + 150, "{format:?}: the gradient is still there: {left:?} {right:?}");
    }
}

#[tokio::test]
async fn a_small_picture_keeps_its_size_and_its_transparency() {
    let clear =
        image::RgbaImage::from_fn(40, 30, |x, _| image::Rgba([200, 10, 10, if x < 20 { 0 } else { 255 }]));
    let picture = samples::encoded(&clear.into(), ImageFormat::Png);
    let thumb = thumbnailer().thumbnail(picture.into()).await.unwrap();
    let shown = image::load_from_memory(&thumb.webp).unwrap().into_rgba8();
    assert_eq!(shown.dimensions(), (40, 30));
    assert!(shown.get_pixel(2, 15)[3] < 20 && shown.get_pixel(37, 15)[3] > 235);
}

#[tokio::test]
async fn a_thumbnail_is_kept_beside_its_picture() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder_store(&folder);
    store.put_bytes("a/image/1", "image/png", samples::png().into()).await.unwrap();
    let name = key::thumbnail("a/image/1");
    let thumb = thumbnailer().keep(&store, "a/image/1", &name).await.unwrap();
    assert_eq!(store.get_bytes(&name, 1 << 20).await.unwrap(), thumb.webp);
    let missing = thumbnailer().keep(&store, "a/image/9", &name).await.unwrap_err();
    assert!(matches!(missing, ThumbnailError::Storage(_)), "{missing:?}");
}

/// A PNG that announces 30,000 × 30,000 pixels in a few bytes.
fn bomb(side: u32) -> Bytes {
    let mut picture = samples::png();
    picture[16..20].copy_from_slice(&side.to_be_bytes());
    picture[20..24].copy_from_slice(&side.to_be_bytes());
    let check = crc32(&picture[12..29]);
    picture[29..33].copy_from_slice(&check.to_be_bytes());
    picture.into()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

#[tokio::test]
async fn bombs_and_broken_pictures_are_refused() {
    for side in [30_000, 16_000] {
        let error = thumbnailer().thumbnail(bomb(side)).await.unwrap_err();
        assert!(matches!(error, ThumbnailError::TooLarge), "{side}: {error:?}");
    }
    for broken in [Bytes::new(), Bytes::from_static(b"<html>"), samples::png()[..100].to_vec().into()] {
        let error = thumbnailer().thumbnail(broken).await.unwrap_err();
        assert!(matches!(error, ThumbnailError::Undecodable(_)), "{error:?}");
    }
    let short = Thumbnailer::new(ThumbnailLimits { bytes_max: 10, ..ThumbnailLimits::default() });
    assert!(matches!(short.thumbnail(samples::png().into()).await, Err(ThumbnailError::TooLarge)));
}

#[tokio::test]
async fn many_at_once_wait_for_their_turn() {
    let maker = thumbnailer();
    let picture = Bytes::from(samples::png());
    let made = futures_util::future::join_all((0..20).map(|_| maker.thumbnail(picture.clone()))).await;
    assert!(made.iter().all(Result::is_ok));
}
