//! A map with a capacity, which evicts its oldest entries.

use std::{
    borrow::Borrow,
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// A map with at most `capacity` entries. A further entry evicts the one that was inserted first.
#[derive(Debug)]
pub(crate) struct BoundedMap<K, V> {
    entries: HashMap<K, V>,
    by_age: VecDeque<K>,
    capacity: usize,
}

impl<K: Clone + Eq + Hash, V> BoundedMap<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::new(),
            by_age: VecDeque::new(),
            capacity,
        }
    }

    /// Inserts an entry, or replaces the value of one. A replaced entry keeps its age.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key.clone(), value).is_none() {
            self.by_age.push_back(key);
        }
        if self.by_age.len() > self.capacity
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.entries.get(key)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let value = self.entries.remove(key)?;
        self.by_age.retain(|other| other != key);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_too_many_evicts_the_oldest() {
        let mut map = BoundedMap::new(2);
        map.insert("a", 1);
        map.insert("b", 2);
        map.insert("a", 3);
        map.insert("c", 4);
        assert_eq!(
            ["a", "b", "c"].map(|key| map.get(&key).copied()),
            [None, Some(2), Some(4)]
        );
        assert_eq!(map.remove(&"b"), Some(2));
        map.insert("d", 5);
        assert_eq!(
            ["b", "c", "d"].map(|key| map.get(&key).copied()),
            [None, Some(4), Some(5)]
        );
    }
}
