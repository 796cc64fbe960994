"""Sound of a batch: samples, or a spectrogram of as many frequencies as a model takes."""

from __future__ import annotations

from typing import Any

from ._asked import Asked, number

#: Seconds of sound, at the usual 16,000 samples, and frames of a spectrogram where a model takes any number.
SAMPLES, FRAMES = 16_000, 400

def make_sound(asked: Asked) -> dict[str, Any]:
    takes, side = asked.takes, asked.side("audio_config", "encoder_config", "encoder")
    if "input_features" not in takes or hasattr(side, "conv_dim") and "input_values" in takes:
        if asked.config.model_type in ONE_CHANNEL:
            hears = {"padding_mask": asked.full(SAMPLES, value=1).bool()} if "padding_mask" in takes else {}
            return {"input_values": asked.floats(1, SAMPLES), **hears}
        if number(asked.config, "max_length", default=0) and number(asked.config, "num_mel_bins", default=0):
            return {"input_values": asked.floats(asked.config.max_length, asked.config.num_mel_bins)}
        return {"input_values": asked.floats(SAMPLES)}
    mels = number(asked.config, "feature_projection_input_dim", "input_feat_per_channel", "num_mel_bins", default=0)
    mels = mels or number(side, "feature_projection_input_dim", "input_size", "num_mel_bins", "input_dim", default=80)
    mels = mels * STACKED.get(asked.config.model_type, 1)
    if asked.config.model_type == "pop2piano":  # whose frames are embeddings
        mels = number(asked.config, "d_model", default=mels)
    frames = 2 * number(asked.config, "max_source_positions", default=0)
    first = asked.config.model_type in CHANNELS_FIRST
    frames = (frames or 2 * number(side, "max_source_positions", default=1500)) if first else FRAMES
    found = {"input_features": asked.floats(mels, frames) if first else asked.floats(frames, mels)}
    if asked.of("ForCTC") and "attention_mask" in takes:  # from which its loss takes how long the sound is
        found["attention_mask"] = asked.full(frames, value=1)
    found.update({name: asked.full(frames, value=1) for name in HEARS if name in takes})
    return found


#: Types that take a spectrogram's frequencies before its frames.
CHANNELS_FIRST = frozenset(
    "whisper qwen2_audio voxtral voxtral_realtime audioflamingo3 musicflamingo glmasr moss_transcribe_diarize qwen3_asr".split()
)

#: Types that take so many frames as one.
STACKED = {"granite_speech5_ctc": 4}

#: Types whose samples have a dimension of channels.
ONE_CHANNEL = frozenset("vibevoice vibevoice_asr".split())

#: The masks that say which frames are sound.
HEARS = ("input_features_mask", "feature_attention_mask")
