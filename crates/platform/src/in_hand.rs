//! How many bytes of bodies one instance holds.
//!
//! An instance's memory ends at 4 GiB, and where it ends the instance traps, with every stream that it serves. So what is
//! read whole is held against a limit, and refused where it would go beyond it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};

/// What an instance holds of requests at most. A streamed call keeps its request until it ends, so this is some 300
/// streams with pictures of 3 MiB.
pub const MAX_REQUESTS_IN_HAND: usize = 1024 * 1024 * 1024;

/// What an instance holds of answers at most: four of the largest that are read whole.
pub const MAX_ANSWERS_IN_HAND: usize = 256 * 1024 * 1024;

/// Bodies up to this are not counted: how many of them there are at once is bounded by the requests in flight.
const SMALL_BYTES: usize = 64 * 1024;

/// What an instance holds of bodies.
#[derive(Debug)]
pub struct BytesInHand {
    limit: usize,
    bytes_held: AtomicUsize,
}

/// There is no room for a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("other requests' bodies leave no room for this one")]
pub struct NoRoom;

/// The room that one body takes, free again when this is dropped.
#[derive(Debug)]
pub struct Room {
    of: Arc<BytesInHand>,
    bytes: usize,
}

impl BytesInHand {
    /// Holds `limit` bytes at most.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            bytes_held: AtomicUsize::new(0),
        }
    }

    /// Room for a body of this length, or of one that is not known yet (0).
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn room(self: &Arc<Self>, bytes: usize) -> Result<Room, NoRoom> {
        let mut room = Room {
            of: Arc::clone(self),
            bytes: 0,
        };
        room.reach(bytes)?;
        Ok(room)
    }
}

impl Room {
    /// Room for so many bytes in all.
    ///
    /// # Errors
    /// [`NoRoom`]; what there was before is kept.
    pub fn reach(&mut self, bytes: usize) -> Result<(), NoRoom> {
        if bytes <= SMALL_BYTES || bytes <= self.bytes {
            return Ok(());
        }
        let more = bytes.saturating_sub(self.bytes);
        let before = self.of.bytes_held.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > self.of.limit {
            self.of.bytes_held.fetch_sub(more, Ordering::Relaxed);
            return Err(NoRoom);
        }
        self.bytes = bytes;
        Ok(())
    }

    /// The body, which takes this room until its last copy is dropped.
    pub fn filled(self, body: BytesMut) -> Bytes {
        if self.bytes == 0 {
            return body.freeze();
        }
        Bytes::from_owner(Filled { body, _room: self })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.of.bytes_held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Filled {
    body: BytesMut,
    _room: Room,
}

impl AsRef<[u8]> for Filled {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    #[test]
    fn a_body_holds_its_room_until_its_last_copy_is_gone() {
        let in_hand = Arc::new(BytesInHand::new(200 * KIB));
        let bytes_held = || in_hand.bytes_held.load(Ordering::Relaxed);
        let mut room = in_hand.room(0).unwrap();
        room.reach(100 * KIB).unwrap();
        assert_eq!(bytes_held(), 100 * KIB);
        assert_eq!(in_hand.room(101 * KIB).err(), Some(NoRoom));
        assert!(in_hand.room(100 * KIB).is_ok());
        assert_eq!(room.reach(201 * KIB), Err(NoRoom));
        let body = room.filled(BytesMut::from(&vec![7; 100 * KIB][..]));
        let copy = body.slice(1..);
        drop(body);
        assert_eq!(bytes_held(), 100 * KIB);
        assert_eq!(copy.len(), 100 * KIB - 1);
        drop(copy);
        assert_eq!(bytes_held(), 0);
    }

    #[test]
    fn small_bodies_always_have_room() {
        let in_hand = Arc::new(BytesInHand::new(0));
        let room = in_hand.room(64 * KIB).unwrap();
        assert_eq!(room.filled(BytesMut::from(&b"x"[..])), Bytes::from("x"));
        assert!(in_hand.room(65 * KIB).is_err());
    }
}
