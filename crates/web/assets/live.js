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

  // Ids sort by time. What was not on the newest page when it came is old, or was deleted; what comes later is new.
  const tiles = () => [...(grid?.querySelectorAll("[data-job]") ?? [])];
  const newest = tiles()[0]?.dataset.job ?? "";

  const insert = (fresh) => {
    document.querySelector(".empty")?.remove();
    const older = tiles().find((tile) => tile.dataset.job < fresh.dataset.job);
    if (older) older.before(fresh); else grid.append(fresh);
  };

  // What is there now decides, not what the event said of a while ago.
  const place = (id, fresh) => {
    const old = find(id);
    const hidden = "hidden" in fresh.dataset && !("part" in fresh.dataset);
    if (old && hidden) old.remove();
    else if (old) { keepPlayers(old, fresh); old.replaceWith(fresh); }
    else if (grid && !hidden && id > newest) insert(fresh);
  };

  const refresh = async (id, version, hidden) => {
    const shown = find(id);
    if (shown ? Number(shown.dataset.version) >= version : !grid || hidden || id <= newest) return;
    if (busy.has(id)) { busy.set(id, Math.max(busy.get(id), version)); return; }
    busy.set(id, version);
    try {
      const fresh = await load(id, shown !== null && "part" in shown.dataset);
      if (fresh) place(id, fresh);
    } catch {
      // The network is away; when it is back, the page catches up.
    } finally {
      const wanted = busy.get(id);
      busy.delete(id);
      if (wanted > version) refresh(id, wanted, false);
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

  // After a gap the page itself is asked what it would show now.
  const catchUp = async () => {
    const answer = await fetch(location.href);
    if (answer.redirected) { location.reload(); return; }
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = new Map([...page.querySelectorAll("[data-job]")].map((one) => [one.dataset.job, Number(one.dataset.version)]));
    const gone = [...document.querySelectorAll("[data-job]")].map((one) => one.dataset.job).filter((id) => !now.has(id));
    for (const [id, version] of now) refresh(id, version, false);
    for (const id of gone) refresh(id, Infinity, false);
  };

  // A browser reconnects by itself when a stream ends, but not after an answer that is no stream (503 of a restart).
  let pause = 1000;
  const listen = (isAgain) => {
    const events = new EventSource("/v1/events");
    events.addEventListener("open", () => {
      pause = 1000;
      if (isAgain) catchUp().catch(() => {});
    });
    events.addEventListener("job", (event) => {
      const job = JSON.parse(event.data);
      refresh(job.id, job.version, job.hidden);
    });
    events.addEventListener("balance", (event) => showBalance(JSON.parse(event.data)));
    events.addEventListener("reset", () => location.reload());
    events.addEventListener("error", () => {
      if (events.readyState !== EventSource.CLOSED) return;
      setTimeout(listen, pause * (0.5 + Math.random()), true);
      pause = Math.min(pause * 2, 60000);
    });
  };
  listen(false);
})();
