//! A few values by name, in one small allocation.
//!
//! A state holds such a list for each worker and each verdict; a map would take several
//! times the memory for two or three names. It leaves out changing: what was recorded stays.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Values by name, in the order of the names; in JSON an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named<V>(Box<[(Box<str>, V)]>);

impl<V> Named<V> {
    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&V> {
        let at = self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &V)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// The same with one more, or another value for a name that is there.
    #[must_use]
    pub fn with(self, name: &str, value: V) -> Self {
        self.0.into_iter().filter(|(known, _)| known.as_ref() != name).chain([(name.into(), value)]).collect()
    }
}

impl<V> Default for Named<V> {
    fn default() -> Self {
        Self(Box::default())
    }
}

impl<N: Into<Box<str>>, V> FromIterator<(N, V)> for Named<V> {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(values: I) -> Self {
        let sorted: BTreeMap<Box<str>, V> =
            values.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Self(sorted.into_iter().collect())
    }
}

impl<V> From<BTreeMap<String, V>> for Named<V> {
    fn from(values: BTreeMap<String, V>) -> Self {
        values.into_iter().collect()
    }
}

impl<V> From<&Named<V>> for BTreeMap<String, V>
where
    V: Clone,
{
    fn from(values: &Named<V>) -> Self {
        values.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
    }
}

impl<V: Serialize> Serialize for Named<V> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_map(self.iter())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Named<V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Object(PhantomData))
    }
}

struct Object<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Object<V> {
    type Value = Named<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = map.next_entry::<Box<str>, V>()? {
            values.push(value);
        }
        // What we wrote is in order; anything else is put in order, the last of two equal names counts.
        let sorted = values.is_sorted_by(|a, b| a.0 < b.0);
        Ok(if sorted { Named(values.into_boxed_slice()) } else { values.into_iter().collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_order_and_written_as_a_map_would_be() {
        let text = r#"{"b":2,"a":1,"c":3,"b":4}"#;
        let named: Named<u32> = serde_json::from_str(text).unwrap();
        let map: BTreeMap<String, u32> = serde_json::from_str(text).unwrap();
        assert_eq!(named, Named::from(map.clone()));
        assert_eq!(BTreeMap::from(&named), map);
        assert_eq!(serde_json::to_string(&named).unwrap(), serde_json::to_string(&map).unwrap());
        assert_eq!([named.get("a"), named.get("b"), named.get("d")], [Some(&1), Some(&4), None]);
    }

    #[test]
    fn one_more_value_takes_its_place_and_replaces_its_elder() {
        let named = Named::default().with("b", 1).with("a", 2).with("b", 3);
        assert_eq!(named.iter().collect::<Vec<_>>(), [("a", &2), ("b", &3)]);
        assert!(!named.is_empty() && Named::<u32>::default().is_empty());
    }
}
