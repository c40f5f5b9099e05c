"""``python -m experiments dashboard``: the W&B workspace of a project, made by its public API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backdrop.files import write_text
from experiments.commands.sweep import find_sweep, load_sweep
from experiments.errors import CommandParser, RunError, one_line
from experiments.reporting.templates import template
from experiments.runs.loggers import has_account
from experiments.runs.settings import RunSettings
from experiments.signatures import Words

if TYPE_CHECKING:
    from wandb_workspaces.reports.v2 import Panel
    from wandb_workspaces.workspaces import Workspace

NAME = "Backdrop"
J = "val/j_mean"
"""What the sweep's parameters are held against: the validation's J, as the test's is not sent to W&B."""

LOSSES = ("loss", "loss_foreground", "loss_background")
PRIORS = ("loss_prior_mask", "loss_prior_box", "loss_prior_confidence", "loss_box_fit")
"""Terms of the training loss alone."""

PAINTER_LOSSES = ("loss_pixel", "loss_visible", "loss_perceptual")
MEASURES = (J, "val/best_j_mean", "val/hit_rate", "val/f_measure", "val/precision", "val/recall")
SHAPES = ("box_width", "box_height", "mask_mean", "confidence")
MEDIA = ("val/sheet", "val/masks")
"""What :class:`callbacks.MaskImages` sends."""

PARAMETERS = (
    "model.init_args.mode",
    "model.init_args.mask_prior",
    "model.init_args.mask_prior_weight",
    "model.init_args.mask_prior_level",
    "model.init_args.synthesis_weights",
    "model.init_args.s_min",
    "model.init_args.s_max",
    "seed_everything",
)
"""Settings of the paper's Fig. 3 and its Tables 3 and 4, where no sweep names others."""

MERGED = ("model", "data", "trainer", "run", "seed_everything")
"""First parts of the names in the merged config."""

DATA, STAGE = "cli.run.data", "cli.run.stage"
"""Keys of a run's config in W&B: the merged config of the command line is logged as ``cli``."""


def build(entity: str, project: str, parameters: Sequence[str] = PARAMETERS) -> Workspace:
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

    axes = [wr.ParallelCoordinatesPlotColumn(wr.Config(key(name)), name.split(".")[-1]) for name in parameters]
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
            section("Losses of stage inpaint", 3, [both(name) for name in PAINTER_LOSSES]),
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

    Lightning logs the model's own settings at the top; all others are in the merged config, under ``cli``. Of the
    config files that a sweep chooses from a trial keeps the names in ``run.setting``. What else is no setting is known
    by the name that the sweep's agent gives it.

    Args:
        setting: As the command line names it, such as ``model.init_args.s_min`` or ``seed_everything``.

    Returns:
        ``s_min``, or ``cli.seed_everything``.
    """
    if setting == "config":
        return "cli.run.setting"
    own = setting.removeprefix("model.init_args.")
    return f"cli.{setting}" if setting.split(".")[0] in MERGED and own == setting else own


def column(setting: str) -> str:
    """The same in the form in which W&B names the columns of its table: the value of the first part, then the rest."""
    first, *rest = key(setting).split(".")
    return ".".join([first, "value", *rest])


def sweep_parameters(path: Path) -> list[str]:
    """The settings that a W&B sweep file varies.

    Args:
        path: The file.

    Returns:
        Their names; those with a single value are left out.

    Raises:
        RunError: If the file is missing, no YAML or names no parameters.
    """
    parameters = load_sweep(path)["parameters"]
    varied = [str(n) for n, space in parameters.items() if not (isinstance(space, Mapping) and "value" in space)]
    return varied or [str(name) for name in parameters]


def preview(spec: Mapping[str, Any], title: str) -> str:
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


def argument_parser() -> CommandParser:
    """The options of ``dashboard``."""
    parser = CommandParser(prog="python -m experiments dashboard", description=__doc__)
    parser.add_argument("--project", default=RunSettings.project, help=f"W&B project ({RunSettings.project})")
    parser.add_argument("--entity", default="", help="W&B user or team (the account's own)")
    held = "sweep whose parameters are held against J, a file or the name of a shipped one"
    parser.add_argument("--sweep", metavar="FILE", help=held)
    parser.add_argument("--preview", type=Path, metavar="FILE", help="draw it as an HTML page instead, without account")
    return parser


def main(arguments: Words) -> int:
    """The command ``dashboard``.

    Args:
        arguments: What follows the command's name.

    Returns:
        Exit code.

    Raises:
        RunError: If no W&B account is configured.
    """
    options = argument_parser().parse_args(arguments)
    parameters = sweep_parameters(find_sweep(options.sweep)) if options.sweep else PARAMETERS
    if options.preview is None and not has_account():
        raise RunError(
            "A dashboard lies on a W&B server, and no account is configured here: run `wandb login` or set "
            "WANDB_API_KEY; `python -m experiments report DIR` compares runs without one."
        )
    workspace = build(options.entity, options.project, parameters)
    if options.preview is not None:
        write_text(options.preview, preview(stored_form(workspace), f"{NAME}: {options.project}"))
        print(f"preview: {options.preview}")
    else:
        print(f"dashboard: {save(workspace)}")
    return 0
