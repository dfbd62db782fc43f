//! Fail points of the programs of a world: armed, disarmed, seen.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::world::World;

impl World {
    fn desk(&self, index: usize, file: &str) -> PathBuf {
        self.path(&format!("fail-{index}")).join(file)
    }

    /// Arms fail points of a program that runs: one rule a line, such as `buy.committed=kill`.
    pub fn arm(&self, index: usize, rules: &str) {
        // A rename, so that nobody reads half of it.
        let draft = self.desk(index, "draft");
        std::fs::write(&draft, rules).unwrap();
        std::fs::rename(draft, self.desk(index, "armed")).unwrap();
    }

    /// From now on the program passes all its fail points.
    pub fn disarm(&self, index: usize) {
        std::fs::remove_file(self.desk(index, "armed")).unwrap();
    }

    /// The armed fail points that a program has reached, in order.
    pub fn reached(&self, index: usize) -> Vec<String> {
        let text = std::fs::read_to_string(self.desk(index, "reached")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// When it reached the last of them.
    pub fn last_reached_at(&self, index: usize) -> SystemTime {
        std::fs::metadata(self.desk(index, "reached")).unwrap().modified().unwrap()
    }

    /// Waits until an armed fail point has killed the program.
    pub async fn until_killed(&mut self, index: usize) {
        let status = self.program(index).wait_for_end().await;
        assert_eq!(status.signal(), Some(9), "{status}\n{}", self.program(index).log());
    }
}
