//! Pages of rows of which some cannot be read.

use std::future::Future;

use crate::StoreError;

/// Rows that are read for one page at most.
const MOST: u32 = 16_384;

/// The first `wanted` readable rows. `fetch` reads as many rows as it is told: how many there were, and those of them that make
/// sense. While too many do not, more are fetched, up to a bound: a page that is too short looks like the last.
pub async fn filled_page<T, Reading>(
    wanted: u32,
    fetch: impl Fn(u32) -> Reading,
) -> Result<Vec<T>, StoreError>
where
    Reading: Future<Output = Result<(usize, Vec<T>), StoreError>>,
{
    let mut limit = wanted;
    loop {
        let (read, mut readable) = fetch(limit).await?;
        if read < limit as usize || readable.len() >= wanted as usize || limit >= MOST {
            readable.truncate(wanted as usize);
            return Ok(readable);
        }
        limit = limit.saturating_mul(2).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::filled_page;

    /// Of these rows the even ones make sense.
    async fn page(wanted: u32, rows: u32) -> Vec<u32> {
        let fetch = |limit: u32| async move {
            let read: Vec<u32> = (1..=rows).take(limit as usize).collect();
            Ok((read.len(), read.into_iter().filter(|row| row % 2 == 0).collect()))
        };
        filled_page(wanted, fetch).await.unwrap()
    }

    #[tokio::test]
    async fn a_page_is_short_only_at_the_end() {
        assert_eq!(page(3, 100).await, [2, 4, 6]);
        assert_eq!(page(3, 5).await, [2, 4]);
        assert_eq!(page(3, 6).await, [2, 4, 6]);
        assert_eq!((page(3, 0).await, page(0, 9).await), (vec![], vec![]));
    }
}
