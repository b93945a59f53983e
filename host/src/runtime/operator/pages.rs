//! Listing keys page by page.

use crate::{
    model::StoreKey,
    store::{EntryQuery, Store, StoreError},
};

/// The keys of one page.
const PAGE_KEYS: usize = 256;

/// The pages of a query. What is written between two pages may be on a later one, or on none.
pub(super) struct KeyPages {
    /// The query of the next page, or `None` after the last.
    next: Option<EntryQuery>,
}

impl KeyPages {
    pub(super) fn new(query: EntryQuery) -> Self {
        Self {
            next: Some(EntryQuery {
                limit: PAGE_KEYS,
                ..query
            }),
        }
    }

    /// Returns the keys of the next page, or `None` after the last.
    pub(super) async fn next_page(
        &mut self,
        store: &dyn Store,
    ) -> Result<Option<Vec<StoreKey>>, StoreError> {
        let Some(mut query) = self.next.take() else {
            return Ok(None);
        };
        let page = store.list(&query).await?;
        if page.more {
            query.after = page.keys.last().copied();
            self.next = Some(query);
        }
        Ok(Some(page.keys))
    }
}
