/** The tooltip next to the pointer. */

export function makeTooltip() {
  const bubble = document.createElement("div");
  bubble.className = "tip";
  bubble.hidden = true;
  document.body.append(bubble);
  return {
    hide: () => {
      bubble.hidden = true;
    },
    show: (words, x, y) => {
      bubble.textContent = words;
      bubble.hidden = false;
      const place = beside({ x, y }, bubble.getBoundingClientRect(), { width: innerWidth, height: innerHeight });
      bubble.style.left = `${place.left}px`;
      bubble.style.top = `${place.top}px`;
    },
  };
}

/** The position of a tooltip of a size: right of the pointer and below it, moved to stay in the window. */
export function beside({ x, y }, { width, height }, window) {
  const below = y + 18;
  return {
    left: Math.max(4, Math.min(x + 14, window.width - width - 8)),
    top: below + height > window.height ? y - height - 10 : below,
  };
}
