"""snug run --checkpoint: killed, resumed, refused. Standard library only.

    SNUG_BUILD=build SNUG_TESTS=tests python3 tests/e2e/resume.py [TestClass[.test]]
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import unittest

from cli import GOLDEN, SNUG, Case, environment, read_tensors, write_tensors


class Resume(Case):
    """--checkpoint: a killed run goes on, and ends with the same bytes."""

    STATE = "state.safetensors"

    def digest(self, path):
        with open(path, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()

    def request(self, kind, output, **changes):
        """Words of a golden request, with two experts or a picture, long enough to be killed inside."""
        with open(os.path.join(GOLDEN, kind, "request.json"), encoding="utf-8") as f:
            q = json.load(f)
        values = dict(
            model=os.path.join(GOLDEN, kind, "model"),
            prompt=q["prompt"],
            size="96x64",
            frames=9,
            steps=8,
            guidance=3,
            seed=11,
            output=output,
            checkpoint=self.path("state"),
        )
        if os.path.exists(os.path.join(GOLDEN, kind, "image.png")):
            values["image"] = os.path.join(GOLDEN, kind, "image.png")
        values.update({k.replace("_", "-"): v for k, v in changes.items()})
        words = ["run", q["pipeline"]]
        for name, value in values.items():
            if value is not None:
                words += [f"--{name}", str(value)]
        return words

    def killed(self, words, place):
        """Did SIGKILL find it within that stage, or from that step on with steps still ahead? It may have been too fast."""
        process = subprocess.Popen(
            [SNUG, *words, "--events"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(self.dir)
        )
        for line in process.stdout:
            event = json.loads(line)
            if event["stage"] == place if isinstance(place, str) else event["step"] >= place:
                break
        process.kill()
        rest, errors = process.stdout.read(), process.stderr.read()  # communicate() loses what is buffered here
        process.wait(timeout=60)
        process.stdout.close()
        process.stderr.close()
        self.assertIn(process.returncode, (0, -signal.SIGKILL), errors)
        events = [event] + [json.loads(line) for line in rest.splitlines() if line.endswith("}")]
        went_on = any(e["stage"] != event["stage"] for e in events)  # before the signal came
        at_the_end = not isinstance(place, str) and events[-1]["step"] == event["steps"]  # its state may be kept
        return process.returncode != 0 and not went_on and not at_the_end

    def kill_at(self, words, place):
        """What remains is a state and no output."""
        for _ in range(50):
            found = self.killed(words, place)
            for name in os.listdir(self.path("out")):
                self.assertFalse(found and name == "frames.npy")
                os.remove(self.path("out/" + name))  # a killed writer's temporary file
            if found:
                self.assertIn(self.STATE, os.listdir(self.path("state")))
                return
            shutil.rmtree(self.path("state"), ignore_errors=True)
        self.fail(f"never killed at {place}")

    def steps_of(self, done):
        return [e["step"] for e in map(json.loads, done.stdout.splitlines()) if e["event"] == "progress" and e["step"]]

    def check_killed_and_resumed(self, kind, step, **changes):
        whole, output = self.path("whole.npy"), self.path("out/frames.npy")
        done = self.snug(*self.request(kind, whole, checkpoint=None, **changes))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.kill_at(self.request(kind, output, **changes), step)
        done = self.snug(*self.request(kind, output, **changes), "--events", "--threads", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.digest(output), self.digest(whole))
        self.assertNotIn(self.STATE, os.listdir(self.path("state")))  # it is done
        os.remove(output)
        return self.steps_of(done)

    def test_killed_runs_of_every_kind_give_the_same_bytes(self):
        for kind in ("t2v", "t2v_experts", "i2v_experts", "ti2v_image", "t2v_euler"):
            with self.subTest(kind=kind):
                steps = self.check_killed_and_resumed(kind, 4)
                self.assertGreaterEqual(steps[0], 3)
                self.assertEqual(steps[-1], 8)

    def test_killed_in_either_expert(self):
        for kind, step in (("t2v_experts", 2), ("t2v_experts", 7), ("i2v_experts", 2), ("i2v_experts", 7)):
            with self.subTest(kind=kind, step=step):
                self.assertEqual(self.check_killed_and_resumed(kind, step)[-1], 8)

    def test_killed_twice(self):
        words = self.request("t2v", self.path("out/frames.npy"))
        self.kill_at(words, 3)
        self.assertGreaterEqual(self.check_killed_and_resumed("t2v", 6)[0], 5)

    def test_other_schedulers_and_intervals(self):
        for scheduler in ("dpm++", "unipc-orig", "euler"):
            self.check_killed_and_resumed("t2v", 5, scheduler=scheduler)
        steps = self.check_killed_and_resumed("t2v", 6, checkpoint_every=4)
        self.assertEqual(steps[0], 5)

    def test_a_step_cache_goes_on_with_a_step_that_takes_nothing_over(self):
        for kind, step in (("step_cache", 7), ("step_cache", 9), ("step_cache_experts", 10)):
            with self.subTest(kind=kind, step=step):
                request = dict(step_cache="teacache", steps=16, size="48x32", frames=5, guidance=5)
                words = ["plan", *self.request(kind, self.path("x.npy"), **request)[1:], "--json"]
                skipped = json.loads(self.snug(*words).stdout)["step_cache"]["skipped"]
                self.assertGreater(len(skipped), 2)
                steps = self.check_killed_and_resumed(kind, step, **request)
                self.assertEqual(steps[-1], 16)
                self.assertNotIn(steps[0], skipped)

    def test_killed_while_decoding_only_decodes(self):
        self.assertEqual(self.check_killed_and_resumed("ti2v_image", "vae decode"), [])

    def interrupted(self, **changes):
        words = self.request("t2v", self.path("out/frames.npy"), **changes)
        self.kill_at(words, 4)
        return words

    def test_a_plan_counts_the_remaining_steps(self):
        words = self.interrupted()
        plan = self.snug("plan", *words[1:], "--json")
        stages = {s["name"]: s for s in json.loads(plan.stdout)["stages"]}
        self.assertLessEqual(stages["denoise"]["steps"], 6)
        self.assertIn(self.STATE, os.listdir(self.path("state")))

    def test_another_request_is_refused_with_what_differs(self):
        self.interrupted()
        output = self.path("out/frames.npy")
        for changes, parts in (
            (dict(prompt="something else"), ("another request", "--prompt is", "something else")),
            (dict(seed=12), ("--seed is 11 there, 12 here",)),
            (dict(steps=9), ("--steps",)),
            (dict(dtype="int8"), ("--dtype is not given there",)),
            (dict(scheduler="euler"), ("--scheduler is not given there",)),
            (dict(model=os.path.join(GOLDEN, "t2v_euler", "model")), ("--model is another file there, this one here",)),
        ):
            done = self.snug(*self.request("t2v", output, **changes))
            self.assert_refusal(done, 4, self.STATE, *parts)
        self.assertIn(self.STATE, os.listdir(self.path("state")))

    def test_a_moved_model_is_the_same_request(self):
        self.interrupted()
        moved = self.model("t2v")
        done = self.snug(*self.request("t2v", self.path("out/frames.npy"), model=moved))
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_damaged_state_is_refused(self):
        words = self.interrupted()
        path = os.path.join(self.path("state"), self.STATE)
        with open(path, "rb") as f:
            good = f.read()
        header, data = read_tensors(path)
        half = len(data) // 2

        def damaged(change):
            with open(path, "wb") as f:
                f.write(good)
            change()
            self.assert_refusal(self.snug(*words), 4, self.STATE)

        def metadata(**changes):
            new = json.loads(json.dumps(header))
            new["__metadata__"].update(changes)
            write_tensors(path, new, data)

        def without(name):
            new = {k: v for k, v in header.items() if k != name}
            write_tensors(path, new, data)

        damaged(lambda: os.truncate(path, len(good) - 5))
        damaged(lambda: os.truncate(path, 0))
        damaged(lambda: write_tensors(path, header, data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :]))
        for step in ("", "x", "-1", "0", "9", "99999999999999999999", "3 "):
            damaged(lambda: metadata(step=step))
        damaged(lambda: metadata(snug="0.0.0"))
        damaged(lambda: metadata(more="x"))
        damaged(lambda: without("x"))
        damaged(lambda: without("~sha256"))
        with open(path, "wb") as f:
            f.write(good)
        self.assertEqual(self.snug(*words).returncode, 0)

    def test_folders_that_cannot_be(self):
        with open(self.path("file"), "w", encoding="utf-8") as f:
            f.write("x")
        self.refused(2, "--checkpoint", "no folder", checkpoint=self.path("file"))
        self.refused(1, "--checkpoint", "cannot make", checkpoint=self.path("none/below"))
        self.refused(2, "--checkpoint-every", checkpoint=self.path("state"), checkpoint_every=0)

    def test_leftovers_of_killed_writers_are_swept(self):
        words = self.interrupted()
        dead, alive = (os.path.join(self.path("state"), f".{self.STATE}.{n}-0.tmp") for n in (4194303 * 2, os.getpid()))
        for path in (dead, alive):
            with open(path, "w", encoding="utf-8") as f:
                f.write("x")
        self.assertEqual(self.snug(*words).returncode, 0)
        self.assertEqual(os.listdir(self.path("state")), [os.path.basename(alive)])


if __name__ == "__main__":
    unittest.main(verbosity=2)
