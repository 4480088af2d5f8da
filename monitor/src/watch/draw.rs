//! What a watched screen shows: a line for each build.

use std::collections::HashMap;
use std::time::Instant;

use detect::hardware::Level;
use detect::human::size;
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Row, Table, TableState, Wrap};

use crate::active::table::{TITLES, nothing, row};
use crate::active::{Active, Build};
use crate::human::short;

/// Columns from which on there is room for who builds and for whom.
const WIDE: u16 = 110;

/// Characters of a bar.
const BAR: u8 = 12;

/// Builds, and what changes between two looks.
pub(super) struct Shown {
    active: Active,
    /// How much CPU time each has used when.
    used: HashMap<(u32, String), (f64, Instant)>,
    /// How many CPUs each keeps busy, in the order of builds.
    busy: Vec<Option<f64>>,
    first: usize,
    colour: bool,
}

impl Shown {
    pub(super) fn new(colour: bool) -> Self {
        let active =
            Active { version: detect::number::Version, builds: Vec::new(), notes: Vec::new() };
        Self { active, used: HashMap::new(), busy: Vec::new(), first: 0, colour }
    }

    /// Take what was seen.
    pub(super) fn take(&mut self, active: Active, at: Instant) {
        let mut used = HashMap::new();
        self.busy.clear();
        for build in &active.builds {
            let key = (build.worker, build.drv.clone().unwrap_or_else(|| build.name.clone()));
            let busy = build.cpu_seconds.and_then(|now| {
                let (before, then) = self.used.get(&key)?;
                let elapsed = at.saturating_duration_since(*then).as_secs_f64();
                (elapsed > 0.0).then(|| (now - before).max(0.0) / elapsed)
            });
            self.busy.push(busy);
            used.extend(build.cpu_seconds.map(|now| (key, (now, at))));
        }
        self.used = used;
        self.active = active;
        self.scroll(0);
    }

    /// Begin so many builds later, or earlier.
    pub(super) fn scroll(&mut self, builds: isize) {
        let last = self.active.builds.len().saturating_sub(1);
        self.first = self.first.saturating_add_signed(builds).min(last);
    }

    pub(super) fn draw(&self, frame: &mut Frame<'_>) {
        let warnings = self.active.notes.iter().filter(|note| note.level >= Level::Warning);
        let warnings: Vec<Line<'_>> =
            warnings.map(|note| Line::from(short(&note.text, 300))).collect();
        let height = u16::try_from(2 * warnings.len()).unwrap_or(0);
        let rows = [Constraint::Length(2), Constraint::Min(0), Constraint::Length(height)];
        let [head, body, notes, foot] =
            Layout::vertical(rows.into_iter().chain([Constraint::Length(1)])).areas(frame.area());
        let bold = Style::new().add_modifier(Modifier::BOLD);
        frame.render_widget(Line::styled("Nix builds", bold), head);
        frame.render_widget(Line::from(self.sum()).alignment(Alignment::Right), head);
        if self.active.builds.is_empty() {
            let text = dim(nothing(&self.active)).alignment(Alignment::Center);
            frame.render_widget(text, body);
        } else {
            let mut state = TableState::new().with_offset(self.first);
            frame.render_stateful_widget(self.table(body.width), body, &mut state);
        }
        let warnings = Paragraph::new(warnings).wrap(Wrap { trim: true });
        frame.render_widget(warnings.style(self.coloured(Color::Yellow)), notes);
        frame.render_widget(dim("q quit   ↑ ↓ scroll"), foot);
    }

    /// All builds together.
    fn sum(&self) -> String {
        let builds = &self.active.builds;
        let busy: f64 = self.busy.iter().flatten().sum();
        let known = builds.iter().filter_map(|build| build.memory_bytes);
        let memory = known.fold(0, u64::saturating_add);
        match builds.len() {
            0 => String::new(),
            1 => format!("1 build, {busy:.1} CPUs, {}", size(memory)),
            count => format!("{count} builds, {busy:.1} CPUs, {}", size(memory)),
        }
    }

    fn table(&self, width: u16) -> Table<'_> {
        let is_wide = width >= WIDE;
        // What the other columns and the gaps leave.
        let rest = width.saturating_sub(if is_wide { 79 } else { 52 });
        let name_width = if is_wide { rest * 2 / 5 } else { rest };
        let cut = |cells: Vec<Line<'static>>| {
            let last = if is_wide { cells.len() } else { 5 };
            Row::new(cells.into_iter().take(last))
        };
        let [name, running, expected, _, memory, user, client] = TITLES;
        let right = |text: &str| Line::from(text.to_owned()).alignment(Alignment::Right);
        let titles = vec![
            Line::from(name),
            right(running),
            right(expected),
            right("CPU"),
            right(memory),
            Line::default(),
            Line::from(user),
            Line::from(client),
        ];
        let rows = self.active.builds.iter().zip(&self.busy).map(|(build, busy)| {
            let [name, running, expected, _, memory, user, client] = row(build);
            let busy = busy.map_or_else(|| "?".to_owned(), |busy| format!("{:.0} %", busy * 100.0));
            let cells = vec![
                Line::from(short(&name, usize::from(name_width))),
                right(&running),
                right(&expected),
                right(&busy),
                right(&memory),
                self.bar(build),
                Line::from(user),
                Line::from(client),
            ];
            cut(cells)
        });
        let widths = [
            Constraint::Length(name_width),
            Constraint::Length(11),
            Constraint::Length(18),
            Constraint::Length(6),
            Constraint::Length(9),
            Constraint::Length(u16::from(BAR)),
            Constraint::Length(9),
            Constraint::Fill(1),
        ];
        let widths = widths.into_iter().take(if is_wide { 8 } else { 5 });
        let style = Style::new().add_modifier(Modifier::UNDERLINED);
        Table::new(rows, widths).header(cut(titles).style(style)).column_spacing(2)
    }

    /// How far a build is, by what is expected.
    fn bar(&self, build: &Build) -> Line<'static> {
        let (Some(running), Some(expected)) = (build.running_seconds, build.expected_seconds)
        else {
            return Line::default();
        };
        let part = if expected > 0.0 { (running / expected).clamp(0.0, 1.0) } else { 1.0 };
        let full = (1..=BAR).filter(|step| part * f64::from(BAR) >= f64::from(*step)).count();
        let colour = if running > expected { Color::Yellow } else { Color::Green };
        Line::from(vec![
            Span::styled("█".repeat(full), self.coloured(colour)),
            Span::styled(
                "░".repeat(usize::from(BAR) - full),
                Style::new().add_modifier(Modifier::DIM),
            ),
        ])
    }

    fn coloured(&self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }
}

fn dim(text: &'static str) -> Line<'static> {
    Line::styled(text, Style::new().add_modifier(Modifier::DIM))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use detect::hardware::Note;
    use detect::number::Version;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::Shown;
    use crate::active::{Active, Build, Client, Source};

    fn build(name: &str, cpu_seconds: f64, expected_seconds: Option<f64>) -> Build {
        Build {
            drv: Some(format!("/nix/store/{name}.drv")),
            name: name.to_owned(),
            source: Source::OpenFiles,
            started_unix_seconds: Some(1.0),
            running_seconds: Some(30.0),
            expected_seconds,
            worker: 7,
            client: Some(Client {
                pid: 6,
                user: Some("root".to_owned()),
                command: Some("nix-build\x1b[2J".to_owned()),
            }),
            user: None,
            builder: Some(9),
            processes: None,
            sandboxed: None,
            cpu_seconds: Some(cpu_seconds),
            memory_bytes: Some(1 << 30),
            cgroup: None,
        }
    }

    fn active(cpu: f64) -> Active {
        let notes = vec![Note::warning("locks-unseen", "something cannot be seen")];
        let mut builds = vec![build("late-1", cpu, Some(20.0)), build("half-2", cpu, Some(60.0))];
        builds.extend((3..40).map(|number| build(&format!("new-{number}"), 0.0, None)));
        Active { version: Version, builds, notes }
    }

    fn drawn(shown: &Shown, width: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, 20)).expect("a screen");
        terminal.draw(|frame| shown.draw(frame)).expect("drawn");
        terminal.backend().to_string()
    }

    #[test]
    fn a_wide_screen_says_more_than_a_narrow_one() {
        let mut shown = Shown::new(true);
        let began = Instant::now();
        shown.take(active(1.0), began);
        shown.take(active(4.0), began + Duration::from_secs(2));
        let narrow = drawn(&shown, 80);
        for text in ["39 builds, 3.0 CPUs, 39 GiB", "10.0 s late", "~30.0 s left", "150 %"] {
            assert!(narrow.contains(text), "{text}:\n{narrow}");
        }
        assert!(narrow.contains("something cannot be seen") && narrow.contains("q quit"));
        assert!(!narrow.contains("nix-build") && !narrow.contains('░'), "{narrow}");
        let wide = drawn(&shown, 140);
        assert!(wide.contains("██████░░░░░░") && wide.contains("████████████"), "{wide}");
        assert!(wide.contains("root: nix-build�[2J"), "{wide}");
    }

    #[test]
    fn what_has_no_place_can_be_scrolled_to() {
        let mut shown = Shown::new(false);
        shown.take(active(1.0), Instant::now());
        assert!(!drawn(&shown, 80).contains("new-39"));
        shown.scroll(isize::MAX);
        assert!(drawn(&shown, 80).contains("new-39"));
        shown.scroll(isize::MIN);
        assert!(drawn(&shown, 80).contains("late-1"));
        let blind = Active { builds: Vec::new(), ..active(1.0) };
        shown.take(blind.clone(), Instant::now());
        assert!(drawn(&shown, 80).contains("it cannot be seen what is being built"));
        shown.take(Active { notes: Vec::new(), ..blind }, Instant::now());
        assert!(drawn(&shown, 80).contains("nothing is being built"));
    }
}
