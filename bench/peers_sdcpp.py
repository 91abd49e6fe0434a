"""One request of ./dev bench peers by stable-diffusion.cpp; its own log on stderr says what each part took.

    peers_sdcpp.py '{"model": {...}, "video": {...}, "output": "F.avi"}'
"""

import json
import sys
import time


def main(words):
    from stable_diffusion_cpp import StableDiffusion

    begin = time.perf_counter()
    model = StableDiffusion(**words["model"])
    loaded = time.perf_counter() - begin
    frames = model.generate_video(**words["video"])
    if words.get("output"):
        save(frames, words["output"])
    print(json.dumps({"load": loaded, "all": time.perf_counter() - begin, "frames": len(frames)}))


def save(frames, path):
    import imageio
    import numpy

    imageio.mimwrite(path, [numpy.asarray(frame) for frame in frames], fps=16)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
