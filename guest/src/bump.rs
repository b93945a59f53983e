//! Which address comes next: the arithmetic of a bump allocator, on plain numbers, so that it is tested natively.

/// A range of addresses, handed out from its start to its end.
pub(crate) struct Bump {
    /// The first address that is free.
    next: usize,
    /// The address after the last.
    end: usize,
}

impl Bump {
    /// With nothing to hand out yet.
    pub(crate) const fn new() -> Self {
        Self { next: 0, end: 0 }
    }

    /// Returns true if it has never had memory to hand out.
    pub(crate) fn is_new(&self) -> bool {
        self.end == 0
    }

    /// The address of a block of so many bytes, aligned to a power of two, if there is room.
    pub(crate) fn take_bytes(&mut self, size: usize, align: usize) -> Option<usize> {
        let start = self.next.checked_next_multiple_of(align)?;
        let next = start.checked_add(size).filter(|next| *next <= self.end)?;
        self.next = next;
        Some(start)
    }

    /// Makes a block larger or smaller where it stands; not unless it was taken last and there is room.
    pub(crate) fn resize_last(&mut self, start: usize, old_size: usize, new_size: usize) -> bool {
        let next = start.checked_add(new_size).filter(|next| *next <= self.end);
        match next {
            Some(next) if start + old_size == self.next => self.next = next,
            // Too small a block does no harm, where it is not the last.
            _ => return new_size <= old_size,
        }
        true
    }

    /// Takes a block back; only what was taken last is handed out again.
    pub(crate) fn give_back(&mut self, start: usize, size: usize) {
        if start + size == self.next {
            self.next = start;
        }
    }

    /// Goes on in another range; what is left of the present one is lost, unless the other follows it directly.
    pub(crate) fn add_chunk(&mut self, start: usize, size: usize) {
        if start != self.end {
            self.next = start;
        }
        self.end = start + size;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bump() -> Bump {
        let mut bump = Bump::new();
        bump.add_chunk(1000, 100);
        bump
    }

    #[test]
    fn nothing_is_handed_out_before_there_is_a_range() {
        assert!(Bump::new().is_new());
        assert_eq!(Bump::new().take_bytes(1, 1), None);
    }

    #[test]
    fn only_the_last_block_grows_where_it_stands() {
        let mut bump = bump();
        let first = bump.take_bytes(10, 1).unwrap();
        assert!(bump.resize_last(first, 10, 20));
        let second = bump.take_bytes(10, 1).unwrap();
        assert_eq!(second, first + 20);
        assert!(!bump.resize_last(first, 20, 21), "another block follows");
        assert!(bump.resize_last(first, 20, 5), "smaller is always possible");
        assert!(!bump.resize_last(second, 10, 100), "no room");
        assert_eq!(bump.take_bytes(1, 1), Some(second + 10));
    }

    #[test]
    fn only_the_last_block_is_handed_out_again() {
        let mut bump = bump();
        let first = bump.take_bytes(10, 1).unwrap();
        let second = bump.take_bytes(10, 1).unwrap();
        bump.give_back(first, 10);
        assert_eq!(bump.take_bytes(1, 1), Some(second + 10));
        bump.give_back(second + 10, 1);
        bump.give_back(second, 10);
        assert_eq!(bump.take_bytes(1, 1), Some(second));
    }

    #[test]
    fn a_range_that_follows_directly_continues_the_present_one() {
        let mut bump = bump();
        assert_eq!(bump.take_bytes(90, 1), Some(1000));
        bump.add_chunk(1100, 100);
        assert_eq!(bump.take_bytes(110, 1), Some(1090));
        bump.add_chunk(5000, 100);
        assert_eq!(bump.take_bytes(1, 64), Some(5056));
    }

    #[test]
    fn sizes_that_no_memory_holds_are_not_handed_out() {
        let mut bump = bump();
        let start = bump.take_bytes(1, 1).unwrap();
        assert_eq!(bump.take_bytes(usize::MAX, 1), None);
        assert_eq!(bump.take_bytes(1, 1 << (usize::BITS - 1)), None);
        assert!(!bump.resize_last(start, 1, usize::MAX));
    }

    proptest! {
        #[test]
        fn blocks_are_aligned_inside_the_range_and_never_overlap(
            wanted in prop::collection::vec((0_usize..40, 0_u32..5, any::<bool>()), 0..40),
        ) {
            let mut bump = bump();
            let mut live: Vec<(usize, usize)> = Vec::new();
            for (size, power, free) in wanted {
                let Some(start) = bump.take_bytes(size, 1 << power) else { continue };
                prop_assert!(start % (1 << power) == 0 && start >= 1000 && start + size <= 1100);
                prop_assert!(live.iter().all(|(at, len)| start >= at + len || start + size <= *at));
                if free {
                    bump.give_back(start, size);
                } else {
                    live.push((start, size));
                }
            }
        }
    }
}
