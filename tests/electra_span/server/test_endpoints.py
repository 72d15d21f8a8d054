"""What the JSON endpoints take and give, and how they are described."""

import json

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")

from electra_span.server import schemas
from electra_span.server.endpoints import ENDPOINTS
from tests.electra_span.server.fake_models import NEEDS, served
from tests.electra_span.server.running import serving

TASKS = (("score", "classify"), ("mood", "classify"))


@pytest.fixture(scope="module")
def server():
    models = [served("halves/generator", "fill_mask"), served("all", tasks=TASKS), served("tagger", "tag")]
    with serving(models) as server:
        yield server


def results(reply):
    assert reply.status == 200, reply.body
    assert reply.body["warnings"] == []
    return reply.body["results"]


def test_models_are_told_with_what_they_can_do(server):
    told = server.get("/api/models").body
    assert [model["name"] for model in told["models"]] == ["halves/generator", "all", "tagger"]
    assert told["models"][2]["commands"] == ["tag"]
    assert told["models"][1]["tasks"][0] == {"name": "score", "command": "classify", "labels": []}
    assert told["needs"] == NEEDS
    assert told["limits"] == {"max_request_bytes": 2**20, "max_texts": 64, "max_text_length": 20_000}


def test_places_are_code_points(server):
    (tokens,) = results(server.post("replaced", texts=["a 👩‍🚀 odd"]))
    assert [(token["token"], token["start"], token["end"]) for token in tokens] == [
        ("a", 0, 1),
        ("👩‍🚀", 2, 5),
        ("odd", 6, 9),
    ]
    assert tokens[2]["probability"] == pytest.approx(0.9)


def test_each_text_of_a_batch_has_its_result_in_order(server):
    found = results(server.post("replaced", texts=["a b", "", "c"]))
    assert [[token["token"] for token in tokens] for tokens in found] == [["a", "b"], [], ["c"]]


def test_masks_come_with_their_places_and_candidates(server):
    (masks,) = results(server.post("fill_mask", texts=["🐈 [MASK][MASK] x [MASK]"], num_candidates=2))
    assert [(mask["start"], mask["end"], len(mask["candidates"])) for mask in masks] == [
        (2, 8, 2),
        (8, 14, 2),
        (17, 23, 0),
    ]
    assert masks[0]["candidates"][0] == {"token": "cat", "text": "🐈 cat[MASK] x [MASK]", "probability": 0.5}


def test_answers_come_with_their_places_and_what_speaks_against_them(server):
    fields = {"questions": ["who", "nothing"], "contexts": ["é a b", "c"], "num_answers": 2}
    found = results(server.post("answer", **fields))
    assert found[0] == {
        "answers": [
            {"text": "b", "start": 4, "end": 5, "probability": 0.6},
            {"text": "a", "start": 2, "end": 3, "probability": 0.3},
        ],
        "no_answer_score": -1.25,
        "has_answer": True,
    }
    assert found[1]["has_answer"] is False
    assert results(server.post("answer", **fields, no_answer_threshold=0.5))[1]["has_answer"] is True
    (untold,) = results(server.post("answer", questions=["q"], contexts=["c"], task="untold"))
    assert untold["no_answer_score"] is None


def test_labels_scores_and_tags_are_told(server):
    (alike,) = results(server.post("classify", texts=["a"], pairs=["b"]))
    assert alike == {"label": "alike", "probability": 0.75, "probabilities": {"alike": 0.75, "different": 0.25}}
    assert results(server.post("classify", texts=["abc"], task="score")) == [{"score": 3.0}]
    (tagged,) = results(server.post("tag", texts=["ask Ann"]))
    assert tagged["words"][1] == {"word": "Ann", "start": 4, "end": 7, "tag": "S-NAME", "probability": 0.8}
    assert tagged["entities"] == [{"kind": "NAME", "text": "Ann", "start": 4, "end": 7}]


def test_vectors_are_of_texts_or_of_tokens(server):
    assert results(server.post("embed", texts=["a", "b"])) == [[1.0] * 3] * 2
    (tokens,) = results(server.post("embed", texts=["ab c"], pooling="none"))
    assert tokens[1] == {"token": "c", "start": 3, "end": 4, "vector": [1.0] * 3}


def test_model_is_the_named_one_or_the_first_that_can(server):
    assert server.post("tag", texts=["a"]).body["model"] == "all"
    assert server.post("tag", texts=["a"], model="tagger").body["model"] == "tagger"
    reply = server.post("tag", texts=["a"], model="none")
    assert (reply.status, reply.body) == (
        404,
        {"error": "model must be one of halves/generator, all, tagger. Received: 'none'"},
    )


def test_warnings_about_texts_go_out(server):
    reply = server.post("replaced", texts=["long " * 200])
    assert reply.body["warnings"] == ["1 of 1 texts have more tokens than fit"]
    assert server.post("replaced", texts=["short"]).body["warnings"] == []


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "the body: Field required"),
        (b"[", "the body is not JSON: Expecting value at character 1"),
        (b"[1]", "the body: Input should be a valid dictionary or object to extract fields from"),
        (b"{}", "texts: Field required"),
        (b'{"texts": "a"}', "texts: Input should be a valid list"),
        (b'{"texts": []}', "texts: List should have at least 1 item after validation, not 0"),
        (b'{"texts": ["a", 2]}', "texts[1]: Input should be a valid string"),
        (b'{"texts": [1, 2, 3, 4, 5]}', "texts[2]: Input should be a valid string (and 2 more)"),
        (b'{"texts": ["a"], "text": "a"}', "text: Extra inputs are not permitted"),
        (b'{"texts": ["mistake"]}', "this model cannot do it"),
    ],
)
def test_mistakes_are_told_in_one_line(server, body, error):
    reply = server.request("POST", "/api/replaced", body, {"Content-Type": "application/json"})
    assert reply.status == 422
    assert list(reply.body) == ["error"]
    assert reply.body["error"].endswith(error)
    assert "\n" not in reply.body["error"]


@pytest.mark.parametrize(
    "body", [b'{"texts": ["\xff"]}', b'{"texts": ' + b"[" * 100_000, b'{"texts": ["\\ud800"]}', b'{"\\ud800": 1}']
)
def test_bodies_that_are_no_text_are_refused(server, body):
    reply = server.request("POST", "/api/replaced", body, {"Content-Type": "application/json"})
    assert reply.status in (400, 422)
    assert list(reply.body) == ["error"]


@pytest.mark.parametrize(("command", "fields"), [("replaced", {}), ("classify", {"task": "broken"})])
def test_faults_of_the_server_tell_nothing_of_it(server, command, fields):
    reply = server.post(command, texts=["fail"], **fields)
    assert (reply.status, reply.body) == (500, {"error": "the server failed, and says in its terminal why"})


def test_other_paths_and_methods_are_errors_in_json(server):
    assert server.get("/api/none")[::2] == (404, {"error": "Not Found"})
    assert server.get("/page/../app.py")[::2] == (404, {"error": "Not Found"})
    assert server.get("/api/replaced")[::2] == (405, {"error": "Method Not Allowed"})
    assert server.request("POST", "/api/models", None, {})[::2] == (405, {"error": "Method Not Allowed"})
    assert server.get("/docs").status == server.get("/redoc").status == 404


def test_openapi_describes_every_endpoint_with_examples_and_errors(server):
    told = server.get("/openapi.json").body
    assert set(told["paths"]) == {"/api/models", *(f"/api/{command}" for command in NEEDS)}
    assert "code points" in told["info"]["description"]
    for endpoint in ENDPOINTS:
        described = told["paths"][f"/api/{endpoint.command}"]["post"]
        assert {"400", "404", "408", "413", "415", "422", "500", "503"} < set(described["responses"])
        assert "Retry-After" in described["responses"]["503"]["headers"]
        schema = told["components"]["schemas"][endpoint.request.__name__]
        (example,) = schema["examples"]
        endpoint.request.model_validate_json(json.dumps(example))
        assert schema["additionalProperties"] is False
    assert set(told["components"]["schemas"]["Error"]["properties"]) == {"error"}
    assert "code point" in told["components"]["schemas"]["ReplacedToken"]["properties"]["start"]["description"]


def test_examples_are_answered(server):
    for endpoint in ENDPOINTS:
        (example,) = endpoint.request.model_config["json_schema_extra"]["examples"]
        assert server.post(endpoint.command, **example).status == 200


def test_commands_are_those_of_the_schema():
    assert [endpoint.command for endpoint in ENDPOINTS] == list(schemas.Command.__args__)
