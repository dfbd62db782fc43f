// Keeps the page fresh: what changed is fetched as ready HTML and put in place once its picture is decoded.
"use strict";
(() => {
  const busy = new Map();
  const find = (id) => document.querySelector(`[data-job="${CSS.escape(id)}"]`);
  const grid = document.querySelector(".grid[data-newest]");

  const localTimes = (root) => root.querySelectorAll("time[datetime]").forEach((time) => {
    const at = new Date(time.dateTime);
    if (!isNaN(at)) time.textContent = at.toLocaleString(document.documentElement.lang);
  });

  const load = async (id, part) => {
    const answer = await fetch(`/g/${encodeURIComponent(id)}/${part ? "part" : "tile"}`);
    if (!answer.ok || answer.redirected) return null;
    const holder = document.createElement("template");
    holder.innerHTML = await answer.text();
    const fresh = holder.content.firstElementChild;
    if (!fresh) return null;
    localTimes(fresh);
    const pictures = [...fresh.querySelectorAll("img")];
    pictures.forEach((picture) => { picture.loading = "eager"; });
    await Promise.race([
      Promise.allSettled(pictures.map((picture) => picture.decode())),
      new Promise((done) => setTimeout(done, 5000)),
    ]);
    return fresh;
  };

  // A player that stands in the same place with the same file goes on playing.
  const keepPlayers = (old, fresh) => {
    const players = [...old.querySelectorAll("video, audio")];
    for (const player of fresh.querySelectorAll("video, audio")) {
      const same = players.find((one) => one.src === player.src);
      if (same) player.replaceWith(same);
    }
  };

  const refresh = async (id, version) => {
    const shown = find(id);
    if (shown ? Number(shown.dataset.version) >= version : !grid) return;
    if (busy.has(id)) { busy.set(id, Math.max(busy.get(id), version)); return; }
    busy.set(id, version);
    try {
      const fresh = await load(id, shown !== null && "part" in shown.dataset);
      const old = find(id);
      if (fresh && old) { keepPlayers(old, fresh); old.replaceWith(fresh); }
      else if (fresh && grid) { document.querySelector(".empty")?.remove(); grid.prepend(fresh); }
    } finally {
      const wanted = busy.get(id);
      busy.delete(id);
      if (wanted > version) refresh(id, wanted);
    }
  };

  const showBalance = (balance) => document.querySelectorAll("[data-balance]").forEach((place) => {
    const digits = Number(place.dataset.digits);
    place.textContent = `${(balance.available / 10 ** digits).toFixed(digits)} ${balance.currency}`;
  });

  // A link that ended while the page was open: the same player gets the new one and goes on where it was.
  const renewed = new WeakMap();
  document.addEventListener("error", async (event) => {
    const player = event.target;
    const shown = player.closest?.("[data-job]");
    if (!shown || !("src" in player) || Date.now() - (renewed.get(player) ?? 0) < 30000) return;
    renewed.set(player, Date.now());
    const fresh = await load(shown.dataset.job, "part" in shown.dataset);
    const name = new URL(player.src, location.href).pathname;
    const twin = [...(fresh?.querySelectorAll("[src]") ?? [])].find((one) => new URL(one.src, location.href).pathname === name);
    if (!twin) return;
    const at = player.currentTime;
    player.src = twin.src;
    if (at) { player.currentTime = at; player.play?.().catch(() => {}); }
  }, true);

  localTimes(document);
  if (!("EventSource" in window)) return;
  const events = new EventSource("/v1/events");
  events.addEventListener("job", (event) => { const job = JSON.parse(event.data); refresh(job.id, job.version); });
  events.addEventListener("balance", (event) => showBalance(JSON.parse(event.data)));
  events.addEventListener("reset", () => location.reload());
})();
