//! Small real files, and large ones that are real in structure.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage};

/// A picture with noise in it, so that it does not compress to nothing.
pub(crate) fn picture(width: u32, height: u32) -> DynamicImage {
    let mut state = 1_u32;
    let pixel = |x: u32, y: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        image::Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, (state >> 24) as u8])
    };
    RgbImage::from_fn(width, height, pixel).into()
}

pub(crate) fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    file.into_inner()
}

pub(crate) fn png() -> Vec<u8> {
    encoded(&picture(64, 48), ImageFormat::Png)
}

fn boxed(name: [u8; 4], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).unwrap();
    [&length.to_be_bytes()[..], &name, body].concat()
}

/// The part of an MP4 of two seconds that stands before its media, and announces `media_bytes` of it.
pub(crate) fn mp4_head(media_bytes: u32) -> Vec<u8> {
    let mut header = vec![0; 100];
    header[12..16].copy_from_slice(&1000_u32.to_be_bytes());
    header[16..20].copy_from_slice(&2000_u32.to_be_bytes());
    let mut track = vec![0; 84];
    track[76..80].copy_from_slice(&(640_u32 << 16).to_be_bytes());
    track[80..84].copy_from_slice(&(360_u32 << 16).to_be_bytes());
    let moov = [boxed(*b"mvhd", &header), boxed(*b"trak", &boxed(*b"tkhd", &track))].concat();
    let media = [&(media_bytes + 8).to_be_bytes()[..], b"mdat"].concat();
    [boxed(*b"ftyp", b"isom\0\0\x02\0isommp41"), boxed(*b"moov", &moov), media].concat()
}

pub(crate) fn mp4(media_bytes: u32) -> Vec<u8> {
    let mut file = mp4_head(media_bytes);
    file.extend((0..media_bytes).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8));
    file
}
