//! The scheduler's answers about its state, compared with what the oracle believes.

use std::collections::BTreeMap;

use syncarp_runtime::{AssemblyId, DeviceId, ModelId, ModelState, Scheduler, Time};

use super::{Oracle, Track};

impl Oracle {
    pub(super) fn check_state(&self, now: Time, after: &Scheduler) {
        let states: BTreeMap<ModelId, ModelState> = self
            .models
            .iter()
            .map(|(&model, track)| (model, track.state))
            .collect();
        assert_eq!(after.models().collect::<BTreeMap<_, _>>(), states);
        for state in ModelState::ALL {
            let count = states.values().filter(|&&s| s == state).count();
            assert_eq!(after.counts().of(state), count, "{state:?}");
            assert_eq!(after.models_in(state).count(), count, "{state:?}");
        }
        for (&model, track) in &self.models {
            assert_eq!(after.attempts(model), Some(track.attempts));
        }

        let offered = self.asked.as_ref().map_or(&[][..], |asked| &asked.devices);
        let free: Vec<DeviceId> = (0..self.config.devices.len() as u32)
            .map(DeviceId)
            .filter(|device| !self.held(*device) && !offered.contains(device))
            .collect();
        assert_eq!(
            after.free_devices().collect::<Vec<_>>(),
            free,
            "a device was lost or reused"
        );
        let running: Vec<AssemblyId> = after.running().map(|run| run.assembly).collect();
        assert_eq!(running, self.runs.keys().copied().collect::<Vec<_>>());

        let slots = self
            .config
            .max_concurrency
            .map_or(usize::MAX, |max| max.get() as usize - self.runs.len());
        let count = |state| after.counts().of(state);
        let waiting = count(ModelState::Queued) + count(ModelState::Retrying);
        let idle = free.len().min(slots).saturating_sub(waiting);
        assert_eq!(after.idle_capacity(), idle);

        let all_ended = states.values().all(|state| state.is_terminal());
        assert_eq!(
            self.finished == 1,
            self.closed && all_ended,
            "finished in time"
        );
        assert_eq!(after.is_finished(), self.finished == 1);
        if !free.is_empty() && slots > 0 && self.asked.is_none() {
            self.check_nothing_waits(now, after);
        }
    }

    /// Nothing waits that is due and has a device, and for what is not due there is an alarm.
    fn check_nothing_waits(&self, now: Time, after: &Scheduler) {
        let waiting = |state| {
            let of_state = move |track: &&Track| track.state == state && !track.refused;
            self.models
                .values()
                .filter(of_state)
                .map(|track| track.since)
                .min()
        };
        assert_eq!(
            waiting(ModelState::Retrying),
            None,
            "a retry waits beside a free device"
        );
        if let Some(since) = waiting(ModelState::Queued) {
            assert!(!self.closed, "a closed set waits");
            let deadline = since.after(self.config.batch_waiting_time);
            assert!(
                now < deadline,
                "a model is due and waits beside a free device"
            );
            assert!(
                after.wake_at().is_some_and(|time| time <= deadline),
                "nobody will wake up"
            );
        }
    }
}
