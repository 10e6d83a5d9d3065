"""Films that sound, made as they are needed."""

import io
from typing import Any

import av
import numpy as np

RATE = 8_000
KINDS = {"mp4": "aac", "avi": "pcm_s16le", "matroska": "pcm_s16le"}
LAYOUTS = {1: "mono", 2: "stereo", 8: "7.1"}


def sounding(
    seconds: float = 1.0, kind: str = "matroska", channels: int = 1, pitch: float = 500.0, grey: int = 90
) -> bytes:
    """A grey clip; the first of its channels sounds a sine at half of full scale, the others are silent."""
    stream = io.BytesIO()
    times = np.arange(int(RATE * seconds)) / RATE
    with av.open(stream, "w", format=kind) as container:
        film: Any = container.add_stream("mpeg4", rate=10)
        film.height = film.width = 16
        track: Any = (
            container.add_stream(KINDS[kind], rate=RATE, layout=LAYOUTS[channels]) if channels else None
        )
        for _ in range(max(1, int(10 * seconds))):
            container.mux(film.encode(av.VideoFrame.from_ndarray(np.full((16, 16, 3), grey, np.uint8))))
        container.mux(film.encode())
        if track is not None:
            wave = np.zeros((channels, len(times)), np.float32)
            wave[0] = 0.5 * np.sin(2 * np.pi * pitch * times)
            sound = frame_of(wave)
            for frame in av.AudioResampler(track.format, track.layout, RATE).resample(sound):
                container.mux(track.encode(frame))
            container.mux(track.encode())
    return stream.getvalue()


def frame_of(wave: np.ndarray) -> Any:
    """(channels, samples), packed as cameras write them."""
    packed = np.ascontiguousarray(wave.T).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=LAYOUTS[len(wave)])
    frame.rate = RATE
    return frame
