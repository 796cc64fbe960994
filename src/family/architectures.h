// What a config's `architectures` says: the class of transformers 5.23 that the model is, and so its task.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "family/family.h"

namespace peakmem {

/// The task of a class of that family; none for a class that is not modelled.
std::optional<Task> task_of_class(const Family& family, std::string_view name);

/// The classes of a family that are modelled: "BertForMaskedLM, BertForSequenceClassification".
std::string classes_of(const Family& family);

/// The names of its tasks: "masked-lm, sequence-classification".
std::string tasks_of(const Family& family);

}  // namespace peakmem
