"""The page of all summaries."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from benchmarks.figures import Figure
from benchmarks.render import html
from benchmarks.render.markup import Markup, element
from benchmarks.summary import Column, Series, Summary, Table, Verdict
from tests.benchmarks import makers

_VOID = {"meta", "br"}
_LOADING = ("src", "srcset", "href", "xlink:href", "data", "poster", "action")
_HOSTILE = "</style></title><script>alert(\"1\")</script><img src=x onerror=alert(2)> & 'quoted'"


class _Page(HTMLParser):
    """Elements, their text and what is wrong with their nesting."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.cells: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all elements with a name."""
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def ids(self) -> list[str]:
        """Every id, as often as it occurs."""
        return [a["id"] or "" for _, a in self.tags if "id" in a]


def _every_kind() -> dict[str, Summary]:
    plots = (
        makers.line_plot(),
        makers.step_plot(),
        makers.bar_plot(),
        makers.reliability_plot(),
    )
    return {
        "acceptance": makers.summary(plots=plots),
        "latency": makers.summary(title="Latency", plots=plots[:1], verdicts=(), notes=()),
    }


@pytest.fixture(scope="module")
def every_kind() -> str:
    """A page with every kind of plot."""
    return html.render(_every_kind())


def test_page_is_sound(every_kind: str) -> None:
    """Elements are closed in order, ids are unique, and references lead somewhere."""
    page = _Page(every_kind)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    referred = [a["aria-labelledby"] or "" for a in page.all("svg")]
    wanted = {name for names in referred for name in names.split()}
    for _, attributes in page.tags:
        for key in ("href", "xlink:href"):
            if key in attributes:
                wanted.add((attributes[key] or "").removeprefix("#"))
        wanted |= set(re.findall(r"url\(#([^)]+)\)", " ".join(map(str, attributes.values()))))
    assert len(wanted) > 12
    assert wanted <= set(page.ids)


def test_page_needs_nothing_else(every_kind: str) -> None:
    """Nothing on the page is loaded from anywhere, and its policy forbids it too."""
    text = every_kind
    page = _Page(text)
    loaded = [a[key] for _, a in page.tags for key in _LOADING if key in a]
    assert loaded
    assert all((target or "").startswith("#") for target in loaded)
    assert not {"script", "link", "img", "iframe", "object", "base"} & {t for t, _ in page.tags}
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    policies = [a for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert (policies[0]["content"] or "").startswith("default-src 'none'; ")


def test_same_summaries_give_the_same_bytes(every_kind: str) -> None:
    """A page can be compared with an earlier one of the same summaries."""
    assert html.render(_every_kind()) == every_kind


def test_hostile_text_stays_text() -> None:
    """Whatever a summary says, it cannot become an element or an attribute."""
    series = Series(name=_HOSTILE, x=(0.5, 1.0), y=(0.5, 0.25))
    plots = (
        makers.line_plot(title=_HOSTILE, x_label=_HOSTILE, series=(series,), note=_HOSTILE),
        makers.bar_plot(labels=(_HOSTILE,) * 4, y_label=_HOSTILE),
    )
    table = Table(title=_HOSTILE, columns=(Column(_HOSTILE),), rows=((_HOSTILE,),), note=_HOSTILE)
    hostile = makers.summary(
        title=_HOSTILE,
        headline=_HOSTILE,
        plots=plots,
        tables=(table,),
        notes=(_HOSTILE,),
        verdicts=(Verdict(text=_HOSTILE, outcome="ahead"),),
        run=makers.made_up_run(options={_HOSTILE: _HOSTILE}, model=_HOSTILE, commit=_HOSTILE),
    )
    page = _Page(html.render({_HOSTILE: hostile}))
    assert page.open == []
    assert page.text.count(_HOSTILE) > 15
    assert not {"script", "img"} & {tag for tag, _ in page.tags}
    assert not any(key.startswith("on") for _, a in page.tags for key in a)


def test_every_verdict_stands_on_top_and_in_its_section(every_kind: str) -> None:
    """A comparison that is lost is shown as often as one that is won, and all are counted."""
    text = every_kind
    top = text[text.index('id="standing"') : text.index('id="acceptance"')]
    section = text[text.index('id="acceptance"') :]
    for outcome, sentence in (
        ("ahead", "40.0 % against 35.0 % of a peer"),
        ("level", "AUC as the anchor"),
        ("behind", "210 ms against 90 ms"),
    ):
        line = f'<span class="chip {outcome}">{outcome}</span><span>{sentence}</span>'
        assert top.count(line) == 1
        assert section.count(line) == 1
        assert f'<li class="tile {outcome}"><b>1</b><span>{outcome}</span></li>' in top
    assert "1 behind" in text[text.index("<nav") : text.index("</nav>")]


def test_page_without_verdicts_says_so() -> None:
    """A page that compares nothing does not look as if all were well."""
    page = _Page(html.render({"latency": makers.summary(verdicts=(), plots=())}))
    assert "No benchmark on this page compares midfill with anything." in page.text


def test_cells() -> None:
    """Units stand in the head, intervals beside the figure, and midfill's row is marked."""
    text = html.render({"acceptance": makers.summary(plots=())})
    assert '<th scope="col" class="number">p50\u00a0<span class="unit">ms</span></th>' in text
    assert (
        '<tr class="ours"><th scope="row">midfill</th>'
        '<td class="number">40.0 <span class="interval">37.0–43.0</span></td>'
    ) in text
    assert '<td class="number">–</td>' in text
    page = _Page(text)
    assert "1,234" in page.cells


def test_provenance_and_count() -> None:
    """Each section says in full what it was made with and on how much it rests."""
    page = _Page(html.render({"acceptance": makers.summary(plots=())}))
    for fact in ("N = 1,040", "ab" * 32, "fedcba987654+", "Imaginary 9000, 3 cores", "modes full"):
        assert fact in page.text


def test_different_states_of_the_code_are_announced() -> None:
    """Figures of different versions on one page are not passed off as one version's."""
    one = makers.summary(plots=())
    other = makers.summary(plots=(), run=makers.made_up_run(code="ffff"))
    assert "different states of the code" not in html.render({"a": one, "b": one})
    assert "2 different states of the code" in html.render({"a": one, "b": other})


def test_data_of_plots() -> None:
    """The numbers of a plot can be read as tables, thinned out where there are very many."""
    x = tuple(float(i) for i in range(500))
    long = makers.line_plot(series=(Series(name="long", x=x, y=x),), x_unit="count")
    bars = makers.bar_plot()
    page = _Page(html.render({"a": makers.summary(plots=(long, bars), tables=())}))
    assert "60 of 500 points." in page.text
    assert {"0", "499"} <= set(page.cells)
    assert "a peer with a rather long name for its prompt" in page.cells
    assert "36.0 32.0–40.0" in page.cells


def test_plot_without_points() -> None:
    """A plot of nothing is a sentence instead of an empty frame."""
    nothing = makers.line_plot(series=(Series(name="s", x=(1.0,), y=(float("nan"),)),))
    page = _Page(html.render({"a": makers.summary(plots=(nothing,))}))
    assert page.all("svg") == []
    assert "Nothing was measured that could be drawn here." in page.text


def test_anchors_of_like_names() -> None:
    """Names that differ only in signs still get sections of their own."""
    names = ("a b", "a-b", "A_b", "standing", "…")
    page = _Page(html.render({name: makers.summary(plots=()) for name in names}))
    assert len(page.ids) == len(set(page.ids)) == len(names) + 1
    assert all(page.ids)


@pytest.mark.parametrize("text", ["<b>", "&amp;", '"', "'"])
def test_strings_are_escaped_and_markup_is_not(text: str) -> None:
    """Only what is marked as markup goes into an element as it is."""
    assert _Page(element("p", text)).text == text
    assert _Page(element("p", title=text)).all("p") == [{"title": text}]
    assert element("p", Markup(text)) == f"<p>{text}</p>"


def test_intervals_that_are_not_known() -> None:
    """A figure without an interval is shown alone."""
    nan = float("nan")
    table = Table(
        title="t",
        columns=(Column("x", "percent"),),
        rows=((Figure(value=0.5, low=nan, high=nan, n=1),),),
    )
    assert '<td class="number">50.0</td>' in html.render(
        {"a": makers.summary(tables=(table,), plots=())}
    )
