// The recipes as buttons, the one that is followed pressed.
import { memo } from "../state/memo.ts";
import type { Setup } from "../state/setup.ts";
import { byRecipe, recipeOf, RECIPES } from "./recipes.ts";

export const RecipeField = memo(({ setup, onSetup }: { setup: Setup; onSetup(setup: Setup): void }) => {
  const followed = recipeOf(setup);
  return (
    <div class="buttons recipes" role="group" aria-label="Recipe">
      {Object.keys(RECIPES).map((name) => (
        <button type="button" aria-pressed={name === followed} onClick={() => onSetup(byRecipe(setup, name))}>
          {name}
        </button>
      ))}
    </div>
  );
});
