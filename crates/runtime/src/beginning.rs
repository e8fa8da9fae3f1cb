//! What a driver begins with: nothing yet, or what a journal says.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::driver::DriveError;
use crate::planner::{Planner, Trial};
use crate::settings::Settings;
use crate::{Journal, JournalError, ModelId, Recovered, Scheduler, recover};

/// What a driver begins with.
pub(crate) struct Beginning {
    pub scheduler: Scheduler,
    pub journal: Option<Journal<File>>,
    pub trials: BTreeMap<ModelId, Trial>,
    pub names: BTreeMap<ModelId, Arc<str>>,
    /// Whether it is the journal of an earlier session that goes on.
    pub resumed: bool,
}

impl Beginning {
    pub fn new(settings: &Settings, planner: &Planner) -> Result<Self, DriveError> {
        let config = settings.config(planner);
        let create = |path: &PathBuf| Journal::create(File::create(path)?, &config);
        let journal = settings.journal.as_ref().map(create).transpose();
        Ok(Beginning {
            journal: journal.map_err(DriveError::Write)?,
            scheduler: Scheduler::new(config)?,
            trials: BTreeMap::new(),
            names: BTreeMap::new(),
            resumed: false,
        })
    }

    pub fn resumed(
        settings: &Settings,
        planner: &Planner,
        mut trials: impl FnMut(&str) -> Option<Trial>,
    ) -> Result<Self, DriveError> {
        let Some(path) = &settings.journal else {
            return Self::new(settings, planner);
        };
        let Recovered {
            scheduler,
            names,
            complete_bytes,
            ..
        } = read(path)?;
        let own = settings.config(planner);
        if scheduler.config().devices != own.devices {
            let list = |devices: &[crate::Device]| {
                let all: Vec<String> = devices.iter().map(ToString::to_string).collect();
                all.join(",")
            };
            return Err(DriveError::OtherDevices {
                journal: list(&scheduler.config().devices),
                given: list(&own.devices),
            });
        }
        let live = scheduler.models().filter(|(_, state)| !state.is_terminal());
        let found = live.filter_map(|(model, _)| Some((model, trials(names.get(&model)?)?)));
        let append = |path: &Path| {
            let file = OpenOptions::new().append(true).open(path)?;
            // A torn last line was never acted upon.
            file.set_len(complete_bytes)?;
            Ok(Journal::resume(file))
        };
        Ok(Beginning {
            trials: found.collect(),
            names: names
                .iter()
                .map(|(model, name)| (*model, name.as_str().into()))
                .collect(),
            journal: Some(append(path).map_err(DriveError::Write)?),
            scheduler,
            resumed: true,
        })
    }

    /// The first number that no model has.
    pub fn next(&self) -> u32 {
        self.names.keys().next_back().map_or(0, |last| last.0 + 1)
    }
}

fn read(path: &Path) -> Result<Recovered, DriveError> {
    let file = File::open(path).map_err(JournalError::Read)?;
    Ok(recover(BufReader::new(file))?)
}
