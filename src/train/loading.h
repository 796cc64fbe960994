// Loading a model onto the device before the first step, as from_pretrained does it.
#pragma once

#include <vector>

#include "recipe/job.h"

namespace peakmem {

/// Whether loading takes more than the model that it leaves behind: weights come whole and are packed one by one, and
/// what is made fp32 comes in half precision first.
/// Encoder-decoders in fp16, of which some weights come in fp32, are left out, as are trainers that cast back.
bool takes_more_to_load(const Job& job);

/// Makes the phase "load" of what the phase "model", the only one of the tape so far, makes of `loaded` (storages of
/// the parameters that come from the checkpoint) and of the buffers beside them: in the order of their names, each
/// weight in the compute dtype until it is packed (transformers 5.23, convert_and_load_state_dict_in_model and
/// integrations/bitsandbytes.py), and then the casts of PEFT's prepare_model_for_kbit_training, which empties the
/// cache. What is left of "model" follows it.
void trace_loading(Tape& tape, const std::vector<int32_t>& loaded, const Recipe& recipe);

}  // namespace peakmem
