// Questions to the server. What was called off or cannot be had is null, never an error of the page.

export async function ask(address, options) {
  try {
    const answer = await fetch(address, options);
    return { ok: answer.ok, found: await answer.json() }; // a body can be called off too
  } catch {
    return null;
  }
}
