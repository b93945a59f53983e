//! The allocator of a guest: an arena in its own static memory, so that an ordinary decision never grows the memory of
//! its instance.
//!
//! Growing costs a host system calls, on every decision of a fresh instance, and they do not scale over threads. A
//! decision is short and its instance is thrown away after it, so nothing is given back but what was taken last. A call
//! too large for the arena grows the memory, and goes on there.
//!
//! On wasm32 only, and only with the feature `arena` (on by default). Which address comes next is decided in
//! [`bump`](super::bump), without anything unsafe.

#![expect(unsafe_code, reason = "an allocator hands out memory")]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::memory_grow;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr::{null_mut, with_exposed_provenance_mut};

use super::bump::Bump;

#[cfg(target_feature = "atomics")]
compile_error!("a guest has one thread: build it without the target feature `atomics`");

/// The static memory of the arena, in bytes. A host that clears all of an instance's memory
/// afterwards clears this, too, so it should hold an ordinary decision and not much more.
const ARENA_BYTES: usize = 256 * 1024;

/// The page of wasm32.
const PAGE_BYTES: usize = 64 * 1024;

/// The least growth of the memory, in pages, while it may grow.
const GROWTH_PAGES: usize = 16;

/// The memory of wasm32, of which there is one.
const MEMORY: u32 = 0;

#[global_allocator]
static ARENA: Arena = Arena {
    room: UnsafeCell::new(MaybeUninit::uninit()),
    bump: UnsafeCell::new(Bump::new()),
};

struct Arena {
    room: UnsafeCell<MaybeUninit<[u8; ARENA_BYTES]>>,
    bump: UnsafeCell<Bump>,
}

// SAFETY: wasm32 without atomics has one thread (checked above), so nothing is ever shared between two.
unsafe impl Sync for Arena {}

// SAFETY: every block is handed out by `Bump`, from ranges of memory that belongs to the allocator
// alone: the room of the static, and pages that `memory_grow` has just added. A range is given out
// once until it is given back, blocks do not overlap and are aligned (see `Bump`). No function here
// allocates or unwinds, so none is entered twice, and the one reference to the bump is only used
// inside each.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let bump = self.bump_allocator();
        let address = bump.take_bytes(layout.size(), layout.align()).or_else(|| {
            self.refill_from_memory(bump, layout)?;
            bump.take_bytes(layout.size(), layout.align())
        });
        address.map_or(null_mut(), with_exposed_provenance_mut)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.bump_allocator()
            .give_back(block.expose_provenance(), layout.size());
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if self
            .bump_allocator()
            .resize_last(block.expose_provenance(), layout.size(), new_size)
        {
            return block;
        }
        // SAFETY: the caller of `realloc` promises that `new_size` is valid with this alignment.
        let moved =
            unsafe { self.alloc(Layout::from_size_align_unchecked(new_size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both blocks hold so many bytes, and the new one is no part of the old one, which is still taken.
            unsafe { block.copy_to_nonoverlapping(moved, layout.size().min(new_size)) };
        }
        moved
    }
}

impl Arena {
    #[expect(
        clippy::mut_from_ref,
        reason = "one thread, and never two at a time: see the implementation of `GlobalAlloc`"
    )]
    fn bump_allocator(&self) -> &mut Bump {
        // SAFETY: see the implementation of `GlobalAlloc`: one thread, not entered twice.
        unsafe { &mut *self.bump.get() }
    }

    /// Gives the bump more memory, enough for the layout: the room first, and then new pages.
    fn refill_from_memory(&self, bump: &mut Bump, layout: Layout) -> Option<()> {
        let needed = layout.size().checked_add(layout.align())?;
        if bump.is_new() && needed <= ARENA_BYTES {
            bump.add_chunk(self.room.get().expose_provenance(), ARENA_BYTES);
            return Some(());
        }
        let pages = needed.div_ceil(PAGE_BYTES);
        let (start, pages) = grow_memory(pages.max(GROWTH_PAGES)).or_else(|| grow_memory(pages))?;
        bump.add_chunk(start, pages * PAGE_BYTES);
        Some(())
    }
}

/// The address of so many new pages, if the host grants them.
fn grow_memory(pages: usize) -> Option<(usize, usize)> {
    let before = memory_grow::<MEMORY>(pages);
    (before != usize::MAX).then(|| (before * PAGE_BYTES, pages))
}
