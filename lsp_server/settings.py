"""Options (as the user wrote them) become Settings (resolved, total), each value with its origin.

Order, later wins: defaults < the user's file < the editor's options < the command line. A bad
value never stops the server: it falls back to the value below it, and a message says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from lsp_server import paths

Origin = Literal["default", "user file", "editor", "command line"]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Seconds = Annotated[float, Meta(ge=0, le=1_000_000)]
Share = Annotated[float, Meta(ge=0, le=1_000_000)]
Milliseconds = Annotated[float, Meta(ge=0, le=600_000)]


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which model.

    Args:
        id: catalog id, a registered id, a path to a GGUF file, or ``auto``.
        budget_ms: ``auto`` takes the largest fetched model that shows a first line within this
            time on this machine, see engine/choice.py.
    """

    id: str = "auto"
    budget_ms: Milliseconds = 700.0


class LoraSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A LoRA adapter.

    Args:
        path: GGUF file of the adapter; absolute, or below ``~``.
        scale: how strongly it takes effect; 1 is as it was trained.
    """

    path: Annotated[str, Meta(min_length=1, max_length=4096)]
    scale: Annotated[float, Meta(ge=-10, le=10)] = 1.0


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the engine process runs.

    Args:
        n_ctx: cells of the KV cache, shared by all slots; 0 chooses (4,096 on a CPU, 32,768 on
            a GPU).
        n_slots: prompts kept in the KV cache.
        move_kv: whether text that stands elsewhere in a new prompt is moved in the KV cache
            instead of being evaluated again.
        n_gpu_layers: -1 is as many as fit, when there is a GPU and a build that can use it.
        n_threads: 0 is every physical core that this process may use.
        flash_attention: ``auto`` (off on a CPU), ``on`` or ``off``.
        speculation: whether tokens are guessed from the prompt and checked several at once;
            ``auto`` where that was measured to be faster.
        split_mode: over several GPUs: ``auto`` (only what is too large for one), ``none``,
            ``layer`` or ``row``.
        tensor_split: share of each GPU when split; empty is by free memory.
        main_gpu: number of the GPU for a model that is not split; -1 is the one with most free
            memory.
        kv_type: numbers of the KV cache: ``auto`` (f16 where the memory suffices), ``f16`` or
            ``q8_0`` (half the size, slower on a CPU).
        mmap: whether the model file is mapped: ``auto``, ``on`` or ``off``.
        mlock: whether the weights are locked in memory, so that they are never swapped out.
        lora: adapters put on the model, in effect from the next request on.
        kv_store_mib: MiB that the KV caches of prompts may take on disk, so that the engine goes
            on where it left off after a restart; 0 keeps none.
        idle_exit_s: seconds without a client after which the engine leaves.
        unload_idle_s: seconds without a request after which the engine frees the model's memory;
            the next request loads it again. 0 is never.
    """

    n_ctx: Count = 0
    n_slots: Annotated[int, Meta(ge=1, le=32)] = 4
    move_kv: bool = True
    n_gpu_layers: Annotated[int, Meta(ge=-1, le=1000)] = -1
    n_threads: Annotated[int, Meta(ge=0, le=1024)] = 0
    flash_attention: Literal["auto", "on", "off"] = "auto"
    speculation: Literal["auto", "on", "off"] = "auto"
    split_mode: Literal["auto", "none", "layer", "row"] = "auto"
    tensor_split: Annotated[tuple[Share, ...], Meta(max_length=16)] = ()
    main_gpu: Annotated[int, Meta(ge=-1, le=15)] = -1
    kv_type: Literal["auto", "f16", "q8_0"] = "auto"
    mmap: Literal["auto", "on", "off"] = "auto"
    mlock: bool = False
    lora: Annotated[tuple[LoraSettings, ...], Meta(max_length=16)] = ()
    kv_store_mib: Count = 256
    idle_exit_s: Seconds = 300.0
    unload_idle_s: Seconds = 900.0


Mode = Literal["eager", "balanced", "quiet"]


class CompletionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for, and when.

    Args:
        enabled: off answers every request with an empty list.
        n_prefix_tokens: prompt budget left of the cursor; 0 chooses by engine.
        n_suffix_tokens: prompt budget right of the cursor; 0 chooses by engine.
        max_tokens: longest suggestion; 0 chooses by engine.
        max_lines: longest suggestion in lines.
        multi_line: ``auto``, ``never`` or ``always``.
        mode: how long to wait for another key before a suggestion is made, see rhythm.py:
            ``eager`` does not, ``balanced`` follows the typing, ``quiet`` waits for a real pause.
        debounce_ms: least pause after the last keystroke before the engine is asked.
        answer_ms: a client that cannot take partial results gets the text at hand after this.
        temperature: 0 is greedy.
        temperature_floor: see types.SamplingParams.
        temperature_decay: see types.SamplingParams.
        top_p: share of the probability that tokens are picked from; 1 is all of it.
        repeat_penalty: the logits of the last tokens are divided by it; 1 is no penalty.
        seed: of the random choice; equal seeds give equal suggestions.
        warm_up: whether the prompt of the likely next request is evaluated while the user reads.
        prefetch: whether the suggestion behind the one that is shown is written while the user
            reads: ``auto`` does so where the model is on a GPU.
        healing: whether a token that is typed in part is generated anew, see
            engine/llama/healing.py.
        cache_mib: MiB that suggestions may take on disk, so that they are found again at the same
            text after a restart; 0 keeps none.
        target_acceptance: unlikely suggestions are held back so that this share of the shown is
            taken; 0 shows all, ``auto`` holds some back where ``mode`` is ``quiet``.
        explore: share of the suggestions held back that is shown all the same, so that it is known
            what would become of them.
        learn: whether the user's own accepts change what is thought likely, see score/own.py.
        disabled_languages: LSP language ids without suggestions.
        max_document_bytes: larger documents get no suggestions.
    """

    enabled: bool = True
    n_prefix_tokens: Count = 0
    n_suffix_tokens: Count = 0
    max_tokens: Count = 0
    max_lines: Annotated[int, Meta(ge=1, le=1000)] = 12
    multi_line: Literal["auto", "never", "always"] = "auto"
    mode: Mode = "balanced"
    debounce_ms: Milliseconds = 30.0
    answer_ms: Milliseconds = 4000.0
    temperature: Annotated[float, Meta(ge=0, le=2)] = 0.0
    temperature_floor: Annotated[float, Meta(ge=0, le=2)] = 0.0
    temperature_decay: Annotated[float, Meta(ge=0, le=2)] = 0.0
    top_p: Annotated[float, Meta(gt=0, le=1)] = 0.92
    repeat_penalty: Annotated[float, Meta(ge=1, le=2)] = 1.0
    seed: Annotated[int, Meta(ge=0, lt=2**32)] = 0
    warm_up: bool = True
    prefetch: Literal["auto", "on", "off"] = "auto"
    healing: bool = True
    cache_mib: Annotated[int, Meta(ge=0, le=1024)] = 16
    target_acceptance: Annotated[float, Meta(ge=0, lt=1)] | Literal["auto"] = "auto"
    explore: Annotated[float, Meta(ge=0, le=1)] = 0.01
    learn: bool = True
    disabled_languages: tuple[str, ...] = ()
    max_document_bytes: Annotated[int, Meta(ge=0)] = 4 * 1024 * 1024


class ContextSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What other files of the workspace give to the prompt.

    Args:
        enabled: off indexes nothing and shows nothing but the open file.
        n_tokens: prompt budget for other files; 0 chooses by engine: none on a CPU, 4,096 on a GPU.
        n_new_tokens: so much of it may be new when a suggestion is asked for; the rest comes in
            pauses. 0 chooses what this machine evaluates in a tenth of a second.
        pin: files whose beginning is in every prompt, relative to the workspace's folder.
        ban: files that are never shown, as patterns of ``.gitignore``.
        max_files: most files of a workspace that are indexed.
        n_corpus_tokens: so much of the workspace's text, nearest files first, tells the engine how
            a line usually goes on there; it costs memory (some 10 MB a million) and no part of the
            prompt. 0 does without.
        environment: folder of the virtual environment whose packages are shown, relative to the
            workspace's; "" looks for one there, then takes the active one.
    """

    enabled: bool = True
    n_tokens: Count = 0
    n_new_tokens: Count = 0
    pin: Annotated[tuple[str, ...], Meta(max_length=64)] = ()
    ban: Annotated[tuple[str, ...], Meta(max_length=1024)] = ()
    max_files: Annotated[int, Meta(ge=1, le=1_000_000)] = 20_000
    n_corpus_tokens: Annotated[int, Meta(ge=0, le=20_000_000)] = 1_000_000
    environment: str = ""


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The acceptance log.

    Args:
        enabled: whether events are written at all; they never hold source text.
        keep_days: older events are deleted when the log is opened; 0 keeps all.
        keep_text: whether suggestions and what became of them are kept as text, for fine-tuning,
            in a file of their own.
    """

    enabled: bool = True
    keep_text: bool = False
    keep_days: Annotated[int, Meta(ge=0, le=36_500)] = 0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, each with a value."""

    model: ModelSettings = ModelSettings()
    engine: EngineSettings = EngineSettings()
    completion: CompletionSettings = CompletionSettings()
    context: ContextSettings = ContextSettings()
    acceptance_log: LogSettings = LogSettings()


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, where each came from, and what was wrong with the options.

    Args:
        settings: the values.
        origins: ``section.name`` to origin, for every setting.
        problems: one sentence for each value that was not taken.
    """

    settings: Settings
    origins: dict[str, Origin]
    problems: tuple[str, ...] = ()


def user_file() -> Path:
    """The user's settings file (TOML)."""
    return paths.config_dir() / "config.toml"


def load(
    *,
    editor: Mapping[str, Any] | None = None,
    command_line: Mapping[str, Any] | None = None,
    file: Path | None = None,
) -> Resolved:
    """Read the user's file and resolve all layers.

    Args:
        editor: nested options the editor sent (``{"completion": {"max_lines": 4}}``).
        command_line: nested options of the command line.
        file: settings file, instead of the user's own.
    """
    problems: list[str] = []
    layers: list[tuple[Origin, Mapping[str, Any]]] = [
        ("user file", _read_file(file or user_file(), problems)),
        ("editor", editor or {}),
        ("command line", command_line or {}),
    ]
    values: dict[str, dict[str, Any]] = {}
    origins: dict[str, Origin] = {}
    for section in msgspec.structs.fields(Settings):
        values[section.name] = {}
        for field in msgspec.structs.fields(section.type):
            origins[f"{section.name}.{field.name}"] = "default"
    for origin, layer in layers:
        _apply(origin, layer, values, origins, problems)
    return Resolved(
        settings=msgspec.convert(values, Settings), origins=origins, problems=tuple(problems)
    )


def changed_options(
    new: Mapping[str, Any], old: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The options of an editor that has changed them.

    Args:
        new: as it sends them; they take the place of all it sent before.
        old: those in force.

    Returns:
        The new ones, where one that cannot be used is as it was before; and a sentence for each of
        these.
    """
    values: dict[str, dict[str, Any]] = {f.name: {} for f in msgspec.structs.fields(Settings)}
    origins: dict[str, Origin] = {}
    problems: list[str] = []
    _apply("editor", new, values, origins, problems)
    options: dict[str, Any] = {}
    for section, given in new.items():
        before = old.get(section)
        before = before if isinstance(before, Mapping) else {}
        if not isinstance(given, Mapping):
            options[section] = before
            continue
        options[section] = {
            name: value if f"{section}.{name}" in origins else before[name]
            for name, value in given.items()
            if f"{section}.{name}" in origins or name in before
        }
    known = {name: chosen for name, chosen in options.items() if name in values}
    return known, tuple(problem.removeprefix("editor: ") for problem in problems)


def _apply(
    origin: Origin,
    layer: Mapping[str, Any],
    values: dict[str, dict[str, Any]],
    origins: dict[str, Origin],
    problems: list[str],
) -> None:
    sections = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    for section_name, options in layer.items():
        if section_name not in sections:
            near = _nearest(section_name, sections)
            problems.append(f"{origin}: unknown section '{section_name}' is ignored.{near}")
            continue
        if not isinstance(options, Mapping):
            problems.append(
                f"{origin}: '{section_name}' is ignored: it must be a table of settings."
            )
            continue
        fields = {f.name: f.type for f in msgspec.structs.fields(sections[section_name])}
        for name, value in options.items():
            full = f"{section_name}.{name}"
            if name not in fields:
                near = _nearest(name, fields, f"{section_name}.")
                problems.append(f"{origin}: unknown setting '{full}' is ignored.{near}")
                continue
            try:
                values[section_name][name] = msgspec.convert(value, fields[name])
                origins[full] = origin
            except msgspec.ValidationError as error:
                problems.append(f"{origin}: '{full}' is not used: {error}.")


def _nearest(name: str, known: Iterable[str], before: str = "") -> str:
    import difflib

    found = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean '{before}{found[0]}'?" if found else ""


def _read_file(path: Path, problems: list[str]) -> Mapping[str, Any]:
    # Slow to import, and most users have no file.
    import tomllib

    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeDecodeError as error:
        reason = f"it is not valid UTF-8, byte {error.start}"
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        reason = str(error)
    problems.append(f"user file: {path} cannot be read ({reason}); all of it is ignored.")
    return {}
