//! Files made of blocks with a length in front: PNG chunks, and the boxes of MP4, `QuickTime` and AVIF.

/// As much of a movie's index as is kept to read length and size from; both stand near its start.
const CAPTURE_BYTES: usize = 256 * 1024;
const HEADER_BYTES: usize = 16;

/// How a block announces its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Length of the body, name; the body is followed by a check sum. `IEND` is the last.
    Png,
    /// Length of the whole, name; length 1 means a 64-bit length follows, 0 means up to the end.
    Boxes,
}

/// Follows the blocks of a passing body and keeps the start of the one named `moov`.
#[derive(Debug)]
pub(super) struct Blocks {
    layout: Layout,
    /// Bytes of the current block's body that are still to come.
    left: u64,
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    /// The current block's name.
    name: [u8; 4],
    captured: Option<Vec<u8>>,
    capturing: bool,
    /// Whether the index (`moov`, in pictures `meta`) and media (`mdat`) have passed whole.
    index_passed: bool,
    media_passed: bool,
    end: End,
}

/// Blocks without which a fragmented movie misses a part of itself. Anything else behind index and media may be cut, or
/// be no block at all: players do not care.
const PARTS: [&[u8; 4]; 5] = [b"moov", b"moof", b"mdat", b"sidx", b"styp"];

/// How the walk ended, if it did before the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    /// The last block has begun, or the structure is unknown: no verdict against the file.
    Released,
    /// `IEND` has begun; the file is whole when it has passed.
    Last,
}

impl Blocks {
    pub(super) fn new(layout: Layout) -> Self {
        // A PNG begins with a signature of eight bytes.
        let left = if layout == Layout::Png { 8 } else { 0 };
        Self {
            layout,
            left,
            header: [0; HEADER_BYTES],
            header_bytes: 0,
            name: [0; 4],
            captured: None,
            capturing: false,
            index_passed: false,
            media_passed: false,
            end: End::Open,
        }
    }

    pub(super) fn feed(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            if self.left > 0 {
                let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(piece.len());
                self.capture(&piece[..taken]);
                self.left -= taken as u64;
                piece = &piece[taken..];
                self.note_passed();
                continue;
            }
            if self.end != End::Open {
                return;
            }
            self.header[self.header_bytes] = piece[0];
            self.header_bytes += 1;
            piece = &piece[1..];
            if self.header_bytes == self.header_length() {
                self.begin();
            }
        }
    }

    /// Whether the file does not end inside of a block.
    pub(super) fn is_whole(&self) -> bool {
        match (self.layout, self.end) {
            (_, End::Released) => true,
            (_, End::Last) => self.left == 0,
            (Layout::Png, End::Open) => false,
            (Layout::Boxes, End::Open) if self.left > 0 => {
                self.index_passed && self.media_passed && !PARTS.contains(&&self.name)
            }
            (Layout::Boxes, End::Open) => self.header_bytes == 0 || self.index_passed && self.media_passed,
        }
    }

    pub(super) fn has_captured(&self) -> bool {
        self.captured.is_some()
    }

    pub(super) fn captured(&self) -> Option<&[u8]> {
        self.captured.as_deref()
    }

    fn header_length(&self) -> usize {
        let extended = self.layout == Layout::Boxes && self.header[..4] == [0, 0, 0, 1];
        if extended { 16 } else { 8 }
    }

    /// A header is complete: sets how far its block goes.
    fn begin(&mut self) {
        let [a, b, c, d, name @ ..] = self.header;
        let short = u64::from(u32::from_be_bytes([a, b, c, d]));
        let length = self.header_bytes as u64;
        self.header_bytes = 0;
        self.capturing = false;
        match (self.layout, short) {
            (Layout::Png, _) => {
                self.left = short + 4;
                self.end = if name.starts_with(b"IEND") { End::Last } else { End::Open };
            }
            (Layout::Boxes, 0) => self.end = End::Released,
            (Layout::Boxes, _) => {
                let long = name.last_chunk().map_or(short, |long| u64::from_be_bytes(*long));
                let whole = if short == 1 { long } else { short };
                match whole.checked_sub(length) {
                    Some(left) => self.left = left,
                    None => self.end = End::Released,
                }
                self.name = *name.first_chunk().unwrap_or(&self.name);
                self.capturing = name.starts_with(b"moov") && self.captured.is_none();
                if self.capturing {
                    self.captured = Some(Vec::new());
                }
                self.note_passed();
            }
        }
    }

    /// Notes what the end of a block completes.
    fn note_passed(&mut self) {
        if self.left == 0 && self.end == End::Open {
            self.index_passed |= matches!(&self.name, b"moov" | b"meta");
            self.media_passed |= &self.name == b"mdat";
        }
    }

    fn capture(&mut self, body: &[u8]) {
        if let (true, Some(kept)) = (self.capturing, &mut self.captured) {
            let room = CAPTURE_BYTES.saturating_sub(kept.len()).min(body.len());
            kept.extend_from_slice(&body[..room]);
        }
    }
}
