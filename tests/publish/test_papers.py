"""Terms and citations follow from the records of the inputs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml

from vadose.publish import About, Input
from vadose.publish.citing import authors, reference
from vadose.publish.licences import strictest, terms_of
from vadose.publish.papers import citation_file, licence_text

ESA = Input(("a.nc",), "ESA CCI, free with attribution", "Gruber et al. (2019), Data 11:717")
GLEAM = Input(("g.nc",), "free for non-commercial use, registration at gleam.eu", "Martens (2017)")
FAO = Input(("f.tif",), "CC BY-NC-SA 3.0 IGO (FAO)", "FAO & IIASA (2023), Soil Database")
TABLE = Input(("t1.csv", "t2.csv"), "not stated", "Warner et al. (2021)")


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("NASA Earth science data: free and open, citation asked", ("attribution",)),
        ("NASA, free and open", ("no condition",)),
        ("NASA Earthdata, no restriction on use; CGIAR tiles: non-commercial.", "commercial"),
        ("Licence to use Copernicus products", ("attribution",)),
        ("CC-BY-ND-4.0", ("attribution", "nothing made of it")),
        ("may not be redistributed without permission", ("permission",)),
        ("not stated", ()),
    ],
)
def test_what_the_words_of_records_ask(text, asks) -> None:
    found = terms_of(text).asks
    assert found == asks if isinstance(asks, tuple) else asks in " ".join(found)


def test_the_strictest_wins_and_the_unknown_is_stricter_still() -> None:
    texts = [one.licence for one in (ESA, GLEAM, FAO)]
    assert strictest(texts).text == GLEAM.licence
    assert strictest([*texts, TABLE.licence]).asks == ()


def test_the_licence_says_what_binds(publication) -> None:
    told = licence_text(replace(publication, inputs=(ESA, FAO)))
    asks = "attribution, the same terms for what is made of it, no commercial use"
    assert f"The strictest of them: {FAO.licence}. It asks: {asks}." in told
    assert "Its makers have not said under which licence they put it." in told
    told = " ".join(licence_text(replace(publication, inputs=(ESA, TABLE))).split())
    assert "cannot be told: the terms of t1.csv to t2.csv (2 files) are not stated" in told


def test_makers_cannot_give_away_what_an_input_does_not(publication) -> None:
    open_terms = About(creator="A. Hydrologist", licence="CC BY 4.0")
    loose = replace(publication, inputs=(ESA, GLEAM), about=open_terms)
    assert "looser than what the inputs ask" in licence_text(loose)
    assert "license" not in yaml.safe_load(citation_file(loose))
    sound = replace(loose, inputs=(ESA,))
    assert "looser" not in licence_text(sound)
    assert yaml.safe_load(citation_file(sound))["license"] == "CC-BY-4.0"


def test_persons_bodies_and_journals() -> None:
    said = "Reichle, R., De Lannoy, G. and Crow, W. T. (2022). SMAP L4. doi:10.5067/LWJ6TF5SZRG3"
    cited = reference(said)
    assert [one["family-names"] for one in cited["authors"]] == ["Reichle", "De Lannoy", "Crow"]
    assert (cited["year"], cited["doi"]) == (2022, "10.5067/LWJ6TF5SZRG3")
    assert reference("Zhao, T., et al. (2021), Remote Sens. Environ. 257, 112321") == {
        "type": "article",
        "title": "Zhao, T., et al. (2021), Remote Sens. Environ. 257, 112321",
        "authors": [{"family-names": "Zhao", "given-names": "T."}, {"name": "et al."}],
        "year": 2021,
        "journal": "Remote Sens. Environ.",
        "volume": 257,
        "start": 112321,
    }
    assert authors("NASA JPL", is_dated=True) == [{"name": "NASA JPL"}]
    assert reference("SAGA GIS terrain analysis")["authors"] == [
        {"name": "SAGA GIS terrain analysis"}
    ]


def test_the_maker_is_named_with_address(publication) -> None:
    made = yaml.safe_load(citation_file(publication))
    assert made["authors"] == [{"name": "A. Hydrologist", "email": "a@example.org"}]
    assert made["keywords"] == ["soil moisture", "downscaling", "Karst"]
