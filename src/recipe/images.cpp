#include "recipe/images.h"

#include <memory>

#include "model/sight.h"

namespace peakmem {

bool takes_any_size(const Description& d) { return d.tower && d.sight->any_size; }

void show_images(Description& d, int64_t tokens) {
  Description tower = *d.tower;
  d.image_tokens = tokens;
  tower.image_tokens = tokens;
  tower.positions = tokens * tower.merge * tower.merge;
  d.tower = std::make_shared<const Description>(std::move(tower));
}

}  // namespace peakmem
