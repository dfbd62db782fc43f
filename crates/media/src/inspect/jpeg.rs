//! JPEG: the size stands in a frame header, and the end is a marker that no compressed data contains.

/// Follows the markers of a passing JPEG.
#[derive(Debug, Default)]
pub(super) struct JpegWalk {
    state: State,
    frame: Option<[u8; 5]>,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    /// A marker must begin here.
    #[default]
    Marker,
    /// After 0xff.
    Code,
    LengthHigh {
        code: u8,
    },
    LengthLow {
        code: u8,
        high: u8,
    },
    Segment {
        code: u8,
        seen: usize,
        left: usize,
    },
    /// Inside of compressed data.
    Scan,
    /// After 0xff inside of compressed data.
    ScanCode,
    /// The end marker has passed.
    Ended,
    /// The structure is unknown: no verdict against the file.
    Lost,
}

const START: u8 = 0xd8;
const END: u8 = 0xd9;
const SCAN: u8 = 0xda;

impl JpegWalk {
    pub(super) fn feed(&mut self, mut piece: &[u8]) {
        while let Some((&byte, rest)) = piece.split_first() {
            match self.state {
                State::Ended | State::Lost => return,
                State::Scan => {
                    let Some(at) = piece.iter().position(|byte| *byte == 0xff) else { return };
                    self.state = State::ScanCode;
                    piece = &piece[at + 1..];
                }
                State::Segment { code, seen, left } => {
                    let taken = left.min(piece.len());
                    self.note_frame(code, seen, &piece[..taken]);
                    self.state = Self::inside(code, seen + taken, left - taken);
                    piece = &piece[taken..];
                }
                single => {
                    self.state = Self::after(single, byte);
                    piece = rest;
                }
            }
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        matches!(self.state, State::Ended | State::Lost)
    }

    /// Width and height.
    pub(super) fn size(&self) -> Option<(u32, u32)> {
        let [_, high, low, wide, narrow] = self.frame?;
        let (height, width) = (u16::from_be_bytes([high, low]), u16::from_be_bytes([wide, narrow]));
        (width > 0 && height > 0).then(|| (width.into(), height.into()))
    }

    /// The state after one byte of a marker.
    fn after(state: State, byte: u8) -> State {
        match (state, byte) {
            (State::Marker | State::Code, 0xff) => State::Code,
            (State::Code | State::ScanCode, END) => State::Ended,
            (State::Code, START | 0x01 | 0xd0..=0xd7) => State::Marker,
            (State::ScanCode, 0x00 | 0xd0..=0xd7) => State::Scan,
            (State::ScanCode, 0xff) => State::ScanCode,
            (State::Code | State::ScanCode, code @ 0xc0..) => State::LengthHigh { code },
            (State::LengthHigh { code }, high) => State::LengthLow { code, high },
            (State::LengthLow { code, high }, low) => match usize::from(u16::from_be_bytes([high, low])) {
                0 | 1 => State::Lost,
                length => Self::inside(code, 0, length - 2),
            },
            _ => State::Lost,
        }
    }

    fn inside(code: u8, seen: usize, left: usize) -> State {
        match (left, code) {
            (0, SCAN) => State::Scan,
            (0, _) => State::Marker,
            _ => State::Segment { code, seen, left },
        }
    }

    /// Keeps the first bytes of the first frame header.
    fn note_frame(&mut self, code: u8, seen: usize, body: &[u8]) {
        let is_frame = matches!(code, 0xc0..=0xcf) && !matches!(code, 0xc4 | 0xc8 | 0xcc);
        if !is_frame || seen >= 5 {
            return;
        }
        let frame = self.frame.get_or_insert_default();
        frame[seen..].iter_mut().zip(body).for_each(|(kept, byte)| *kept = *byte);
    }
}
