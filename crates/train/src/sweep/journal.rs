//! What is known about every trial: a `SQLite` file, `sweep.db`, in the folder of the sweep.
//!
//! Any number of processes on one machine may work on a sweep. A trial is claimed in one transaction
//! that holds the write lock from its start (`BEGIN IMMEDIATE`), so that no number is given out twice;
//! the claim is held by a file lock beside the trial's folder, which ends with the process. Whoever
//! asks for work gets an abandoned trial first, to be continued from its checkpoint.
//!
//! The file is in WAL mode, which network file systems do not support: for several machines there is
//! `regard sweep plan`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::{Deserialize, Serialize};

use super::config::{Method, SweepConfig};
use super::lock::Lock;
use super::space::Parameters;
use super::suggest::{Seen, grid_size, suggest};
use crate::error::TrainError;

/// Longest wait for another process's transaction, which takes milliseconds.
const PATIENCE: Duration = Duration::from_mins(1);
/// Layout of the file.
const FORMAT: i64 = 1;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS sweep (section TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS trials (
    number INTEGER PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('running', 'finished', 'pruned', 'failed')),
    parameters TEXT NOT NULL,
    pid INTEGER,
    started TEXT NOT NULL,
    ended TEXT,
    objective REAL,
    best_epoch INTEGER,
    seconds REAL,
    message TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS epochs (
    trial INTEGER NOT NULL REFERENCES trials (number),
    epoch INTEGER NOT NULL,
    value REAL,
    seconds REAL NOT NULL,
    PRIMARY KEY (trial, epoch)
) STRICT, WITHOUT ROWID;";

/// How far a trial is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Being trained, or abandoned by a process that was stopped.
    Running,
    /// Trained to its end.
    Finished,
    /// Stopped because others were better at the same epoch.
    Pruned,
    /// Ended by an error of its own, such as a loss that is no number.
    Failed,
}

/// All about one trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trial {
    /// Number, from 1.
    pub(crate) number: usize,
    /// How far it is.
    pub(crate) state: State,
    /// Values of the searched keys.
    pub(crate) parameters: Parameters,
    /// Best value of the objective so far.
    pub(crate) objective: Option<f64>,
    /// Epoch of it, from 1.
    pub(crate) best_epoch: Option<usize>,
    /// Value of every epoch; NaN where there was none.
    pub(crate) values: Vec<f64>,
    /// Seconds that it took.
    pub(crate) seconds: f64,
    /// Why it failed.
    pub(crate) message: Option<String>,
}

/// A trial that this process may work on.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) number: usize,
    pub(crate) parameters: Parameters,
    /// Seconds of its epochs in processes that abandoned it.
    pub(crate) earlier_seconds: f64,
    pub(crate) is_continued: bool,
    pub(crate) lock: Lock,
}

/// The open file.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    db: Connection,
}

impl State {
    /// Name in the journal and in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Pruned => "pruned",
            Self::Failed => "failed",
        }
    }

    fn of(name: &str) -> Self {
        let all = [Self::Running, Self::Finished, Self::Pruned];
        all.into_iter().find(|state| state.name() == name).unwrap_or(Self::Failed)
    }
}

impl Journal {
    /// Opens the journal of `folder`, or begins it; the sweep must be the one it was begun for.
    ///
    /// # Errors
    /// [`TrainError::RunFolder`] if the sweep was begun with another file.
    pub(crate) fn open(folder: &Path, config: &SweepConfig) -> Result<Self, TrainError> {
        let trials = folder.join("trials");
        std::fs::create_dir_all(&trials).map_err(TrainError::io("create", &trials))?;
        // Two processes that begin at once must not both switch the mode of the file.
        let _begin = Lock::take(&folder.join("sweep.lock"))?;
        let file = folder.join("sweep.db");
        let db = Connection::open(&file).map_err(|source| Self::error_of(&file, source))?;
        let mut journal = Self { folder: folder.to_owned(), db };
        journal.begin(config)?;
        Ok(journal)
    }

    fn begin(&mut self, config: &SweepConfig) -> Result<(), TrainError> {
        let (folder, file) = (self.folder.clone(), self.file());
        let sql = |source| Self::error_of(&file, source);
        self.db.busy_timeout(PATIENCE).map_err(sql)?;
        self.db.pragma_update(None, "journal_mode", "wal").map_err(sql)?;
        self.db.pragma_update(None, "foreign_keys", true).map_err(sql)?;
        let transaction = self.transaction()?;
        let format: i64 =
            transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sql)?;
        if ![0, FORMAT].contains(&format) {
            let problem = format!(
                "sweep.db has format {format}, this program reads format {FORMAT}; choose another --out"
            );
            return Err(TrainError::RunFolder { folder, problem });
        }
        transaction.execute_batch(SCHEMA).map_err(sql)?;
        transaction.pragma_update(None, "user_version", FORMAT).map_err(sql)?;
        for (section, text) in config.identity()? {
            let known: Option<String> = transaction
                .query_row("SELECT text FROM sweep WHERE section = ?1", [section], |row| row.get(0))
                .optional()
                .map_err(sql)?;
            match known {
                None => {
                    let insert = "INSERT INTO sweep (section, text) VALUES (?1, ?2)";
                    transaction.execute(insert, [section, &text]).map_err(sql)?;
                }
                Some(known) if known != text => return Err(changed(&folder, config, section)),
                Some(_) => {}
            }
        }
        transaction.commit().map_err(sql)
    }

    /// An abandoned trial, or a new one; `None` once the budget is used up.
    pub(crate) fn claim(&mut self, config: &SweepConfig) -> Result<Option<Claim>, TrainError> {
        let (folder, file) = (self.folder.clone(), self.file());
        let sql = |source| Self::error_of(&file, source);
        let transaction = self.transaction()?;
        let trials = trials(&transaction).map_err(sql)?;
        for trial in trials.iter().filter(|trial| trial.state == State::Running) {
            let Some(lock) = Lock::try_take(&lock_file(&folder, trial.number))? else { continue };
            let update = "UPDATE trials SET pid = ?2 WHERE number = ?1";
            transaction.execute(update, params![trial.number, std::process::id()]).map_err(sql)?;
            transaction.commit().map_err(sql)?;
            return Ok(Some(Claim {
                number: trial.number,
                parameters: trial.parameters.clone(),
                earlier_seconds: trial.seconds,
                is_continued: true,
                lock,
            }));
        }
        if !has_budget(config, &trials) {
            return Ok(None);
        }
        let number = trials.iter().map(|trial| trial.number).max().unwrap_or(0) + 1;
        let seen: Vec<Seen> = trials.into_iter().map(|trial| seen(config, trial)).collect();
        let Some(parameters) = suggest(config, number, &seen) else { return Ok(None) };
        let lock = Lock::take(&lock_file(&folder, number))?;
        let insert = "INSERT INTO trials (number, state, parameters, pid, started) \
                      VALUES (?1, 'running', ?2, ?3, ?4)";
        let row = params![number, json(&parameters), std::process::id(), now()];
        transaction.execute(insert, row).map_err(sql)?;
        transaction.commit().map_err(sql)?;
        Ok(Some(Claim { number, parameters, earlier_seconds: 0.0, is_continued: false, lock }))
    }

    /// Keeps the value of an epoch, from 1.
    pub(crate) fn record(
        &mut self,
        trial: usize,
        epoch: usize,
        value: f64,
        seconds: f64,
    ) -> Result<(), TrainError> {
        // An epoch that was killed before its checkpoint is trained again, to the same value.
        let insert =
            "INSERT OR REPLACE INTO epochs (trial, epoch, value, seconds) VALUES (?1, ?2, ?3, ?4)";
        let row = params![trial, epoch, value, seconds];
        self.db.execute(insert, row).map(drop).map_err(|e| self.error(e))
    }

    /// Best value up to `epoch` of `trial` and of every other trial that has come to it; smaller is
    /// better.
    pub(crate) fn best_until(
        &self,
        trial: usize,
        epoch: usize,
        sign: f64,
    ) -> Result<(f64, Vec<f64>), TrainError> {
        let query = "SELECT trial, min(?3 * value) FROM epochs WHERE epoch <= ?2 GROUP BY trial \
                     HAVING max(epoch) = ?2 AND min(?3 * value) IS NOT NULL ORDER BY trial = ?1, trial";
        let read = || -> rusqlite::Result<Vec<(usize, f64)>> {
            let mut statement = self.db.prepare(query)?;
            let rows = statement
                .query_map(params![trial, epoch, sign], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        let mut all = read().map_err(|e| self.error(e))?;
        let own = match all.last() {
            Some(&(number, best)) if number == trial => {
                all.pop();
                best
            }
            _ => f64::INFINITY,
        };
        Ok((own, all.into_iter().map(|(_, best)| best).collect()))
    }

    /// Ends a trial.
    pub(crate) fn end(&self, trial: &Trial) -> Result<(), TrainError> {
        let update = "UPDATE trials SET state = ?2, objective = ?3, best_epoch = ?4, seconds = ?5, \
                      message = ?6, ended = ?7 WHERE number = ?1";
        let row = params![
            trial.number,
            trial.state.name(),
            trial.objective,
            trial.best_epoch,
            trial.seconds,
            trial.message,
            now()
        ];
        self.db.execute(update, row).map(drop).map_err(|e| self.error(e))
    }

    /// Replaces everything by these trials.
    pub(crate) fn replace(&mut self, trials: &[Trial]) -> Result<(), TrainError> {
        let file = self.file();
        let sql = |source| Self::error_of(&file, source);
        let transaction = self.transaction()?;
        transaction.execute_batch("DELETE FROM epochs; DELETE FROM trials;").map_err(sql)?;
        for trial in trials {
            let insert = "INSERT INTO trials (number, state, parameters, started, ended, objective, \
                          best_epoch, seconds, message) VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8)";
            let row = params![
                trial.number,
                trial.state.name(),
                json(&trial.parameters),
                now(),
                trial.objective,
                trial.best_epoch,
                trial.seconds,
                trial.message
            ];
            transaction.execute(insert, row).map_err(sql)?;
            for (i, value) in trial.values.iter().enumerate() {
                let insert =
                    "INSERT INTO epochs (trial, epoch, value, seconds) VALUES (?1, ?2, ?3, 0)";
                transaction.execute(insert, params![trial.number, i + 1, value]).map_err(sql)?;
            }
        }
        transaction.commit().map_err(sql)
    }

    /// All trials, by number.
    pub(crate) fn trials(&self) -> Result<Vec<Trial>, TrainError> {
        trials(&self.db).map_err(|e| self.error(e))
    }

    fn transaction(&mut self) -> Result<Transaction<'_>, TrainError> {
        let file = self.file();
        let begun = self.db.transaction_with_behavior(TransactionBehavior::Immediate);
        begun.map_err(|source| Self::error_of(&file, source))
    }

    fn file(&self) -> PathBuf {
        self.folder.join("sweep.db")
    }

    fn error(&self, source: rusqlite::Error) -> TrainError {
        Self::error_of(&self.file(), source)
    }

    fn error_of(file: &Path, source: rusqlite::Error) -> TrainError {
        TrainError::Journal { file: file.to_owned(), source }
    }
}

/// Folder of a trial's run.
pub(crate) fn trial_folder(sweep: &Path, number: usize) -> PathBuf {
    sweep.join("trials").join(format!("{number:04}"))
}

/// The file whose lock a process holds while it works on a trial.
pub(crate) fn lock_file(sweep: &Path, number: usize) -> PathBuf {
    sweep.join("trials").join(format!("{number:04}.lock"))
}

/// Largest number of trials of a sweep.
pub(crate) fn most_trials(config: &SweepConfig) -> Option<usize> {
    let grid = (config.search.method == Method::Grid).then(|| grid_size(&config.keys));
    [config.search.trials, grid].into_iter().flatten().min()
}

fn has_budget(config: &SweepConfig, trials: &[Trial]) -> bool {
    let taken: f64 = trials.iter().map(|trial| trial.seconds).sum();
    most_trials(config).is_none_or(|most| trials.len() < most)
        && config.search.time().is_none_or(|time| taken < time.as_secs_f64())
}

fn seen(config: &SweepConfig, trial: Trial) -> Seen {
    let is_judged = [State::Finished, State::Pruned].contains(&trial.state);
    let value = trial.objective.filter(|_| is_judged).map(|value| config.objective.sign() * value);
    Seen { parameters: trial.parameters, value }
}

fn trials(db: &Connection) -> rusqlite::Result<Vec<Trial>> {
    let mut statement = db.prepare(
        "SELECT number, state, parameters, objective, best_epoch, message, \
         coalesce(seconds, (SELECT sum(seconds) FROM epochs WHERE trial = number), 0) \
         FROM trials ORDER BY number",
    )?;
    let mut all: Vec<Trial> = statement.query_map([], trial)?.collect::<Result<_, _>>()?;
    let mut statement = db.prepare("SELECT value FROM epochs WHERE trial = ?1 ORDER BY epoch")?;
    for trial in &mut all {
        let values = statement.query_map([trial.number], |row| row.get::<_, Option<f64>>(0))?;
        trial.values = values
            .map(|value| value.map(|value| value.unwrap_or(f64::NAN)))
            .collect::<Result<_, _>>()?;
    }
    Ok(all)
}

fn trial(row: &Row<'_>) -> rusqlite::Result<Trial> {
    let parameters: String = row.get(2)?;
    let parameters = serde_json::from_str(&parameters).map_err(|e| {
        rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(e))
    })?;
    Ok(Trial {
        number: row.get(0)?,
        state: State::of(&row.get::<_, String>(1)?),
        parameters,
        objective: row.get(3)?,
        best_epoch: row.get(4)?,
        values: Vec::new(),
        seconds: row.get(6)?,
        message: row.get(5)?,
    })
}

fn changed(folder: &Path, config: &SweepConfig, section: &str) -> TrainError {
    let what = match section {
        "base" => format!("the configuration \"{}\" was", config.base),
        "objective" => "the objective was".to_owned(),
        _ => format!("the section [{section}] was"),
    };
    let problem = format!(
        "{what} another one when this sweep began, and its trials would not be comparable; undo the \
         change (sweep.toml in the folder is the file as it was) or choose another --out"
    );
    TrainError::RunFolder { folder: folder.to_owned(), problem }
}

fn json(parameters: &Parameters) -> String {
    serde_json::to_string(parameters).expect("values of a configuration have a JSON form")
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(trials: usize) -> SweepConfig {
        let text = format!(
            "base = \"lorenz\"\n[search]\nmethod = \"random\"\ntrials = {trials}\n[keys]\n\
             \"fit.optimizer.learning_rate\" = {{ distribution = \"uniform\", low = 0.1, high = 0.2 }}\n"
        );
        SweepConfig::parse(Path::new("my.toml"), &text, Path::new("")).unwrap()
    }

    fn ended(claim: &Claim, state: State, objective: f64) -> Trial {
        Trial {
            number: claim.number,
            state,
            parameters: claim.parameters.clone(),
            objective: Some(objective),
            best_epoch: Some(1),
            values: Vec::new(),
            seconds: 2.0,
            message: None,
        }
    }

    #[test]
    fn a_trial_is_claimed_once_and_again_when_abandoned() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(2);
        let mut one = Journal::open(folder.path(), &config).unwrap();
        let mut two = Journal::open(folder.path(), &config).unwrap();
        let first = one.claim(&config).unwrap().unwrap();
        let second = two.claim(&config).unwrap().unwrap();
        assert_eq!((first.number, second.number), (1, 2));
        assert_ne!(first.parameters, second.parameters);
        assert!(one.claim(&config).unwrap().is_none(), "the budget is used up");
        one.record(1, 1, 0.5, 7.0).unwrap();
        let parameters = first.parameters.clone();
        drop(first); // as a killed process does
        let again = two.claim(&config).unwrap().unwrap();
        assert_eq!((again.number, again.is_continued), (1, true));
        assert_eq!((again.parameters.clone(), again.earlier_seconds), (parameters, 7.0));
        two.end(&ended(&again, State::Finished, 0.5)).unwrap();
        drop(again);
        assert!(one.claim(&config).unwrap().is_none(), "an ended trial is not claimed again");
        // A larger budget goes on where the smaller one ended.
        let third = one.claim(&self::config(3)).unwrap().unwrap();
        assert_eq!(third.number, 3);
    }

    #[test]
    fn what_is_recorded_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let config = config(9);
        let mut journal = Journal::open(folder.path(), &config).unwrap();
        let claims: Vec<Claim> = (0..3).map(|_| journal.claim(&config).unwrap().unwrap()).collect();
        for (number, values) in [(1, vec![3.0, 1.0, 2.0]), (2, vec![5.0, 4.0]), (3, vec![9.0, 8.0])]
        {
            for (i, value) in values.into_iter().enumerate() {
                journal.record(number, i + 1, value, 0.5).unwrap();
            }
        }
        assert_eq!(journal.best_until(3, 2, 1.0).unwrap(), (8.0, vec![1.0, 4.0]));
        assert_eq!(journal.best_until(1, 3, 1.0).unwrap(), (1.0, vec![]));
        assert_eq!(journal.best_until(3, 2, -1.0).unwrap(), (-9.0, vec![-3.0, -5.0]));
        let mut expected = ended(&claims[0], State::Pruned, 1.0);
        journal.end(&expected).unwrap();
        expected.values = vec![3.0, 1.0, 2.0];
        assert_eq!(journal.trials().unwrap()[0], expected);
        // The same from files of an array job.
        let all = journal.trials().unwrap();
        journal.replace(&all).unwrap();
        assert_eq!(journal.trials().unwrap(), all);
    }

    #[test]
    fn another_sweep_in_the_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        Journal::open(folder.path(), &config(2)).unwrap();
        let text = config(2).text.replace("0.2", "0.3");
        let other = SweepConfig::parse(Path::new("my.toml"), &text, Path::new("")).unwrap();
        let message = Journal::open(folder.path(), &other).unwrap_err().to_string();
        assert!(message.contains("the section [keys] was another one"), "{message}");
        let text = format!("{}\n[set]\n\"fit.epochs\" = 3\n", config(2).text);
        let other = SweepConfig::parse(Path::new("my.toml"), &text, Path::new("")).unwrap();
        let message = Journal::open(folder.path(), &other).unwrap_err().to_string();
        assert!(message.contains("the section [set] was another one"), "{message}");
    }

    #[test]
    fn no_trial_starts_after_the_time_is_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(9);
        config.search.time = Some("3 s".to_owned());
        let mut journal = Journal::open(folder.path(), &config).unwrap();
        for _ in 0..2 {
            let claim = journal.claim(&config).unwrap().unwrap();
            journal.end(&ended(&claim, State::Finished, 1.0)).unwrap();
        }
        assert!(journal.claim(&config).unwrap().is_none());
    }
}
