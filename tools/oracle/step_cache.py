"""TeaCache on diffusers' WanTransformer3DModel, written from the paper and the algorithm's description alone.

A StepCache is attached to the transformers of one pipeline, in the order in which they are used. Decisions fall on the
first call of a step (the prompt's branch) and hold for both; each transformer and branch has a residual of its own.
"""

import numpy as np


class StepCache:
    def __init__(self, coefficients, threshold, first=5):
        self.estimate, self.threshold, self.first = np.poly1d(coefficients), threshold, first
        self.time, self.step, self.skipped = None, -1, []

    def attach(self, model):
        expert = Expert(self)
        model.register_forward_pre_hook(expert.begin, with_kwargs=True)
        model.condition_embedder.register_forward_hook(expert.embedded)
        for i, block in enumerate(model.blocks):
            block.forward = expert.block(block.forward, i == 0, i == len(model.blocks) - 1)

    def next_step(self, time):
        """The number of the step of that timestep; a timestep that rises begins another run."""
        if self.time is None or time > self.time:
            self.step, self.skipped = -1, []
        if time != self.time:
            self.step += 1
        self.time = time
        return self.step


class Expert:
    def __init__(self, cache):
        self.cache, self.step, self.previous, self.sum = cache, None, None, 0.0

    def begin(self, module, args, kwargs):
        step = self.cache.next_step(float(kwargs["timestep"].flatten()[0]))
        if self.step is None or step < self.step:
            self.previous, self.sum, self.residual = None, 0.0, {}
        self.branch = self.branch + 1 if step == self.step else 0
        self.step = step

    def embedded(self, module, args, output):
        if self.branch:
            return
        modulation = output[1].flatten().numpy().astype(np.float64)
        self.skip = False
        if self.previous is not None and self.step >= self.cache.first:
            moved = np.abs(modulation - self.previous).mean() / np.abs(self.previous).mean()
            self.sum += self.cache.estimate(moved)
            self.skip = self.sum < self.cache.threshold
            self.sum = self.sum if self.skip else 0.0
        self.previous = modulation
        if self.skip:
            self.cache.skipped.append(self.step + 1)

    def block(self, inner, first, last):
        def forward(hidden_states, *args, **kwargs):
            if first:
                self.into = hidden_states
            if not self.skip:
                out = inner(hidden_states, *args, **kwargs)
                if last:
                    self.residual[self.branch] = out - self.into
                return out
            return hidden_states + self.residual[self.branch] if last else hidden_states

        return forward
