"""``dashboard``: the W&B workspace of a project, made by its public API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backdrop.errors import RunError, one_line
from backdrop.files import write_text
from backdrop.program import program
from experiments.reporting.templates import template
from experiments.runs.settings import RunSettings, own_name
from experiments.runs.wandb_account import has_account
from experiments.trials.recipe import CLIPS
from experiments.trials.sweep import EACH, SWEEPS, find_sweep, load_sweep

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import Panel
    from wandb_workspaces.workspaces import Workspace

NAME = "Backdrop"
J = "val/j_mean"
"""What the sweep's parameters are held against: the validation's J, as the test's is not sent to W&B."""

LOSSES = ("loss", "loss_foreground", "loss_background")
PRIORS = ("loss_prior_mask", "loss_prior_box", "loss_prior_confidence", "loss_prior_reach", "loss_box_fit")
"""Terms of the training loss alone."""

INPAINTER_LOSSES = ("loss_pixel", "loss_visible", "loss_perceptual")
MEASURES = (J, "val/best_j_mean", "val/hit_rate", "val/peak_in_box", "val/f_measure", "val/precision", "val/recall")
SHAPES = ("box_width", "box_height", "mask_mean", "confidence")
MEDIA = ("val/sheet", "val/masks")
"""What :class:`callbacks.MaskImages` sends."""

MERGED = ("model", "data", "trainer", "run", "seed_everything")
"""First parts of the names in the merged config."""

DATA, STAGE = "cli.run.data", "cli.run.stage"
"""Keys of a run's config in W&B: the merged config of the command line is logged as ``cli``."""


def build(entity: str, project: str, parameters: Sequence[str]) -> Workspace:
    """Lay out the workspace; nothing is sent.

    Args:
        entity: W&B user or team.
        project: W&B project.
        parameters: Settings, as the command line names them, of the parallel coordinates.

    Returns:
        The workspace, whose ``save`` sends it.

    Raises:
        RunError: If the package ``wandb-workspaces`` is missing.
    """
    try:
        import wandb_workspaces.reports.v2 as wr
        import wandb_workspaces.workspaces as ws
        from wandb_workspaces import expr
    except ModuleNotFoundError as error:
        raise RunError(f"The dashboard needs a package ({one_line(error)}): pip install wandb-workspaces.") from error

    def lines(title: str, names: Sequence[str]) -> Panel:
        return wr.LinePlot(title=title, x="trainer/global_step", y=list(names))

    def both(name: str) -> Panel:
        return lines(name, [f"train/{name}", f"val/{name}"])

    def section(name: str, columns: int, panels: Sequence[Panel]) -> ws.Section:
        rows = -(-len(panels) // columns)
        layout = ws.SectionLayoutSettings(columns=columns, rows=rows)
        return ws.Section(name=name, panels=list(panels), is_open=True, layout_settings=layout)

    axes = [wr.ParallelCoordinatesPlotColumn(wr.Config(key(name)), own_name(name)) for name in parameters]
    axes.append(wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(J), "J"))
    return ws.Workspace(
        name=NAME,
        entity=entity,
        project=project,
        auto_generate_panels=False,
        sections=[
            section(
                "Sweep",
                2,
                [
                    wr.ParallelCoordinatesPlot(title="Parameters against the validation's J", columns=axes),
                    wr.ParameterImportancePlot(with_respect_to=J),
                ],
            ),
            section("Measures in validation, for information", 3, [lines(m, [m]) for m in MEASURES]),
            section("Pictures", 2, [wr.MediaBrowser(title=m, media_keys=[m], num_columns=1) for m in MEDIA]),
            section("Losses of stage segment", 3, [both(name) for name in LOSSES]),
            section("Priors", 4, [lines(name, [f"train/{name}"]) for name in PRIORS]),
            section("Boxes and masks", 4, [both(name) for name in SHAPES]),
            section("Losses of stage inpaint", 3, [both(name) for name in INPAINTER_LOSSES]),
        ],
        runset_settings=ws.RunsetSettings(
            groupby=[expr.Config(DATA), expr.Config(STAGE)],
            order=[expr.Ordering(expr.Summary(J), ascending=False)],
            pinned_columns=[
                *(f"summary:{name}" for name in MEASURES[:3]),
                *(f"config:{column(name)}" for name in parameters),
            ],
        ),
    )


def key(setting: str) -> str:
    """The key of a setting in a run's config in W&B.

    The merged config of the command line is logged as ``cli``. Of the config files that a sweep chooses from a trial
    keeps the names in ``run.setting``. What else is no setting is known by the name that the sweep's agent gives it.

    Args:
        setting: As the command line names it, such as ``model.init_args.detector.s_min`` or ``seed_everything``.

    Returns:
        ``cli.model.init_args.detector.s_min`` or ``cli.seed_everything``.
    """
    if setting == "config":
        return "cli.run.setting"
    return f"cli.{setting}" if setting.split(".")[0] in MERGED else setting


def column(setting: str) -> str:
    """The same in the form in which W&B names the columns of its table: the value of the first part, then the rest."""
    first, *rest = key(setting).split(".")
    return ".".join([first, "value", *rest])


def varied(sweep: str | None) -> list[str]:
    """The settings that a sweep varies.

    Args:
        sweep: A W&B sweep file or the name of a shipped one; None takes all shipped ones.

    Returns:
        Their names, each once; those with a single value are left out, unless all of them have one.

    Raises:
        RunError: If the file is missing, no YAML or names no parameters.
    """
    names = dict[str, None]()
    for path in [find_sweep(sweep)] if sweep else sorted(SWEEPS.glob("*.yaml")):
        spaces = load_sweep(path)["parameters"]
        several = [str(n) for n, space in spaces.items() if not (isinstance(space, Mapping) and "value" in space)]
        if sweep or spaces.get(CLIPS) != {"values": EACH}:  # which W&B does not run
            names |= dict.fromkeys(several or map(str, spaces))
    return list(names)


def drawn(spec: Mapping[str, Any], title: str) -> str:
    """Draw what a workspace lays out, from what would be sent.

    Args:
        spec: The workspace as W&B stores it.
        title: Title of the page.

    Returns:
        An HTML page.
    """
    return template("dashboard.html").render(spec=spec["section"], title=title)


def stored_form(workspace: Workspace) -> dict[str, Any]:
    """The workspace as W&B stores it, and as ``save`` sends it."""
    # The package keeps this form to itself; what it sends is dumped with these arguments.
    spec: dict[str, Any] = json.loads(workspace._to_model().spec.model_dump_json(by_alias=True, exclude_none=True))
    return spec


def save(workspace: Workspace) -> str:
    """Send a workspace to W&B.

    Args:
        workspace: The workspace; where its entity is empty, that of the account is taken.

    Returns:
        Its address.

    Raises:
        RunError: If W&B does not take it.
    """
    import wandb

    try:
        if not workspace.entity:
            workspace.entity = wandb.Api().default_entity or ""
        if not workspace.entity:
            raise RunError("The W&B account has no default entity: name the user or team with --entity.")
        workspace.save()
    except RunError:
        raise
    except Exception as error:  # of many kinds: the network's, the server's and W&B's own
        where = f"{workspace.entity or 'your account'}/{workspace.project}"
        raise RunError(
            f"W&B did not take the dashboard of {where} ({one_line(error)}): look at the key (`wandb login`), the "
            "names of entity and project, and the network."
        ) from error
    return str(workspace.url)


def dashboard(
    project: str = RunSettings.project, entity: str = "", sweep: str | None = None, preview: Path | None = None
) -> None:
    """Lay out the W&B workspace of a project: panels, pictures, a sweep, the table of the runs.

    Args:
        project: W&B project.
        entity: W&B user or team; the account's own where it is not given.
        sweep: Sweep whose parameters are held against J, a file or the name of a shipped one; all shipped ones where it
            is not given.
        preview: Draw it as an HTML page instead, without an account.

    Raises:
        RunError: If no W&B account is configured.
    """
    if preview is None and not has_account():
        raise RunError(
            "A dashboard lies on a W&B server, and no account is configured here: run `wandb login` or set "
            f"WANDB_API_KEY; `{program()} report DIR` compares runs without one."
        )
    workspace = build(entity, project, varied(sweep))
    if preview is not None:
        write_text(preview, drawn(stored_form(workspace), f"{NAME}: {project}"))
        print(f"preview: {preview}")
    else:
        print(f"dashboard: {save(workspace)}")
