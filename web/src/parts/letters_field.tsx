// The sizes of the formula, each with the letter it is written by, which can be another.
import type { FormulaAnswer } from "../core/answers.ts";
import { readLetters, writeLetters } from "../state/letters.ts";
import { grouped } from "../state/text.ts";

const LETTER = /^[A-Za-z]+$/;

export interface LettersProps {
  symbols: FormulaAnswer["formula"]["symbols"];
  own: string;
  onLetters(letters: string): void;
}

export function LettersField({ symbols, own, onLetters }: LettersProps) {
  const give = (symbol: string, letter: string): void => {
    const { [symbol]: _, ...others } = readLetters(own);
    onLetters(writeLetters(LETTER.test(letter) ? { ...others, [symbol]: letter } : others));
  };
  return (
    <dl class="symbols">
      {symbols.map((each) => (
        <div key={each.symbol}>
          <dt>
            {each.symbol.length === 1 ? (
              <input
                type="text"
                class="letter"
                maxLength={6}
                value={each.letters}
                aria-label={`letter of ${each.meaning}`}
                onChange={(event) => give(each.symbol, event.currentTarget.value.trim())}
              />
            ) : (
              each.letters
            )}
          </dt>
          <dd>
            {grouped(each.value)} <span class="muted">{each.meaning}</span>
          </dd>
        </div>
      ))}
    </dl>
  );
}
