//! Opening the segments of a data directory: what the manifest says is live in them becomes the state to start from.

use std::{cmp::Reverse, sync::Arc};

use super::{
    error::Error,
    frames::Layout,
    ids::{Lane, MessageId},
    log::{OpenFile, Segment},
    manifest::{Live, LiveRun},
    reader::read_frames,
    recovery::{Opening, parse_number},
    run::{Place, Run},
    segment::{self, Contents, QueueRun},
};

impl Opening<'_> {
    pub(super) fn read_segments(&mut self) -> Result<(), Error> {
        let (mut runs, mut returns) = (Vec::new(), Vec::new());
        for name in self.names.clone() {
            let Some(number) = name.strip_prefix("seg-").and_then(parse_number) else {
                continue;
            };
            let listed = self
                .manifest
                .segments
                .iter()
                .find(|(other, _)| *other == number);
            if self.has_manifest && listed.is_none() {
                // Left over from a roll that did not get to its manifest, or from after the next one.
                self.disk.remove(&name).map_err(Error::io(name))?;
                continue;
            }
            let live = listed.map_or(Live::All, |(_, live)| live.clone());
            let file = self.disk.open(&name).map_err(Error::io(name.as_str()))?;
            let len = file.len().map_err(Error::io(name.as_str()))?;
            let contents = segment::read(&*file, number, self.has_manifest)
                .map_err(Error::io(name.as_str()))?
                .map_err(|reason| Error::Format(format!("{name}: {reason}").into()))?;
            if let Some(reason) = contents.rebuilt {
                let found: u32 = contents.runs.iter().map(|(_, run)| run.count).sum();
                self.damaged(
                    &name,
                    0..len,
                    &format!("{reason}; {found} messages were found"),
                );
            }
            self.segments.insert(number, Segment::of(&contents.runs));
            let open = OpenFile::new(number, name, file, len);
            self.files.insert(number, Arc::new(open));
            returns.extend_from_slice(&contents.returns);
            runs.extend(living(contents, &live));
        }
        for (number, _) in std::mem::take(&mut self.manifest.segments) {
            if !self.segments.contains_key(&number) {
                self.damaged(&segment::name(number), 0..0, "the file is missing");
            }
        }
        runs.sort_unstable_by_key(|(queue, run)| (*queue, run.first, Reverse(run.file)));
        for (queue, run) in self.apart(runs) {
            let lane = usize::from(Lane::Messages.number());
            self.next_index[lane] = self.next_index[lane].max(run.last.entry() + 1);
            self.state.insert(queue, run);
        }
        returns.append(&mut self.manifest.returns);
        for (queue, id, returns) in returns {
            if let Some(ledger) = self.state.queues.get_mut(&queue) {
                ledger.set_returns(id, returns);
            }
        }
        Ok(())
    }

    /// Runs that do not reach into each other. They never do as a manifest names them; without one, a message may be
    /// found in two segments, and one segment may have what another skips.
    fn apart(&self, runs: Vec<QueueRun>) -> Vec<QueueRun> {
        let overlaps = runs
            .windows(2)
            .any(|pair| pair[0].0 == pair[1].0 && pair[0].1.last >= pair[1].1.first);
        if !overlaps {
            return runs;
        }
        let mut single: Vec<QueueRun> = Vec::new();
        for (queue, run) in runs {
            let Some(file) = self.files.get(&run.file) else {
                continue;
            };
            let Ok((_, frames)) = read_frames(&run, file, Layout::Segment) else {
                continue;
            };
            for (number, id) in run.iter() {
                let Some(Some(frame)) = frames.get(number as usize) else {
                    continue;
                };
                let bytes = frame.bytes();
                let head = segment::MESSAGE_HEAD_LEN;
                let place = Place {
                    file: run.file,
                    offset: run.offset + (bytes.start - head) as u32,
                    len: (bytes.len() + head) as u32,
                    content: frame.content.len() as u32,
                };
                single.push((queue, Run::consecutive(id, 1, place)));
            }
        }
        single.sort_by_key(|(queue, run)| (*queue, run.first));
        single.dedup_by_key(|(queue, run)| (*queue, run.first));
        single
    }
}

/// The runs that have messages, without what is gone.
fn living(contents: Contents, live: &Live) -> Vec<QueueRun> {
    let Contents {
        mut runs,
        frames,
        fragments,
        ..
    } = contents;
    match live {
        Live::All => {}
        Live::Frames(offsets) => {
            let mut frames = frames.into_iter();
            for (_, run) in &mut runs {
                let gone: Vec<MessageId> = frames
                    .by_ref()
                    .take(run.count as usize)
                    .filter(|(.., offset)| offsets.binary_search(offset).is_err())
                    .map(|(_, id, _)| id)
                    .collect();
                for id in gone {
                    run.remove(id, id);
                }
            }
            runs.retain(|(_, run)| run.live() > 0);
        }
        Live::Runs(listed) => {
            let find = |offset: u32| {
                let at = listed.binary_search_by_key(&offset, |run| run.offset);
                at.ok().map(|at| &listed[at])
            };
            runs.retain_mut(|(_, run)| match find(run.offset) {
                Some(LiveRun { skip, gone, .. }) => {
                    // What is left of a damaged run is shorter than it was.
                    let words = gone.len().min(run.count.div_ceil(64) as usize);
                    run.set_marks((*skip).min(run.count), &gone[..words]);
                    run.live() > 0
                }
                // Which messages of it were gone is not known: they may return.
                None => fragments.contains(&run.offset),
            });
        }
    }
    runs
}
