//! A map with a capacity, which drops its oldest entries.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// A map with at most `capacity` entries. One more drops the entry whose key was inserted first.
#[derive(Debug)]
pub(crate) struct BoundedMap<K, V> {
    entries: HashMap<K, V>,
    in_order: VecDeque<K>,
    capacity: usize,
}

impl<K: Clone + Eq + Hash, V> BoundedMap<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::new(),
            in_order: VecDeque::new(),
            capacity,
        }
    }

    /// Inserts an entry, or replaces the value of one. A replaced entry keeps its place in the order.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key.clone(), value).is_none() {
            self.in_order.push_back(key);
        }
        if self.in_order.len() > self.capacity
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.entries.remove(&oldest);
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let value = self.entries.remove(key)?;
        self.in_order.retain(|other| other != key);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_entry_too_many_drops_the_oldest() {
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
