"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 25;
  const make = (tag, text, attributes = {}) => {
    const node = document.createElement(tag);
    if (text !== undefined && text !== "") node.textContent = text;
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  for (const node of document.querySelectorAll(".script")) node.hidden = false;

  for (const place of document.querySelectorAll(".media")) {
    const own = data.media[place.dataset.clip] || {};
    if (own.frames) {
      const row = make("div", "", { class: "frames" });
      own.frames.forEach((src, k) =>
        row.append(make("img", "", { src, alt: `frame ${k + 1} of ${own.frames.length}` })));
      place.append(row);
    }
    if (own.video) place.append(make("video", "", { src: own.video, controls: "", preload: "metadata", "aria-label": "video of the clip" }));
    if (own.sound) place.append(make("audio", "", { src: own.sound, controls: "", preload: "none", "aria-label": "sound of the clip" }));
  }

  for (const section of document.querySelectorAll(".board")) {
    const board = data.boards[+section.dataset.board];
    if (board) start(section, board);
  }
  document.documentElement.dataset.ready = "yes";

  function start(section, board) {
    const isNumber = board.task === "regress";
    const state = { run: 0, text: "", kind: "", label: "", shown: "", cell: null, page: 0,
                    sort: "", down: false };
    const form = section.querySelector(".filters");
    const table = section.querySelector(".rows");
    const status = section.querySelector(".status");
    const pager = section.querySelector(".pager");
    const names = board.clips.map((number) => data.clips[number]);
    const cell = (value) => (isNumber ? value.toFixed(board.decimals) : board.cells[value] || "(no tokens)");
    const run = () => board.runs[state.run];
    const isRight = (own, k) => own.shown[k] === board.labels[k];
    const columns = () => {
      const own = run();
      const found = [{ name: "clip", text: (k) => names[k], key: (k) => names[k] }];
      if (board.causes) found.push({ name: "cause", text: (k) => data.clips[board.causes[k]] });
      if (board.speakers) found.push({ name: "speaker", text: (k) => board.people[board.speakers[k]] });
      found.push({ name: "label", text: (k) => cell(board.labels[k]), key: isNumber && ((k) => board.labels[k]), n: isNumber });
      found.push({ name: "prediction", text: (k) => (isNumber ? "" : isRight(own, k) ? "✓ " : "✗ ") + cell(own.shown[k]), key: (k) => (isNumber ? own.shown[k] : cell(own.shown[k])), n: isNumber, mark: !isNumber });
      if (isNumber) found.push({ name: "error", text: (k) => Math.abs(own.shown[k] - board.labels[k]).toFixed(board.decimals), key: (k) => Math.abs(own.shown[k] - board.labels[k]), n: true });
      if (own.sure) found.push({ name: "its probability", text: (k) => own.sure[k] + " %", key: (k) => own.sure[k], n: true });
      if (own.own) found.push({ name: "of the label", text: (k) => own.own[k] + " %", key: (k) => own.own[k], n: true });
      if (data.words.length) found.push({ name: "words", text: (k) => data.words[board.clips[k]], words: true });
      if (own.right && own.seeds > 1) found.push({ name: "seeds right", text: (k) => own.right[k] + " of " + own.seeds, key: (k) => own.right[k], n: true });
      return found;
    };

    if (isNumber) for (const name of ["label", "shown", "kind"]) form.elements[name].closest("label").hidden = true;
    else {
      for (const name of ["label", "shown"]) {
        const values = name === "label" ? [board.labels] : board.runs.map((each) => each.shown);
        const known = [...new Set(values.flatMap((each) => [...new Set(each)]))].sort((a, b) => a - b);
        if (known.length > 200) form.elements[name].closest("label").hidden = true;
        else for (const value of known) form.elements[name].append(make("option", cell(value), { value }));
      }
    }

    const LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const inCell = (own, k) => {
      const [label, shown] = state.cell;
      if (board.labels[k] !== label) return false;
      return own.each ? own.each.some((seed) => seed[k] === LETTERS[shown]) : own.shown[k] === shown;
    };
    const chosen = () => {
      const own = run(), text = state.text.toLowerCase(), found = [];
      for (let k = 0; k < names.length; k++) {
        if (state.cell && !inCell(own, k)) continue;
        if (state.label !== "" && board.labels[k] !== +state.label) continue;
        if (state.shown !== "" && own.shown[k] !== +state.shown) continue;
        if (state.kind === "wrong" && isRight(own, k)) continue;
        if (state.kind === "right" && !isRight(own, k)) continue;
        if (state.kind === "split" && (own.right[k] === 0 || own.right[k] === own.seeds)) continue;
        if (text) {
          const who = board.speakers ? board.people[board.speakers[k]] : "";
          const cause = board.causes ? data.clips[board.causes[k]] : "";
          const words = data.words.length ? data.words[board.clips[k]] : "";
          if (!`${names[k]}\n${who}\n${cause}\n${words}`.toLowerCase().includes(text)) continue;
        }
        found.push(k);
      }
      const column = columns().find((each) => each.name === state.sort);
      if (column) {
        const key = column.key || column.text, sign = state.down ? -1 : 1;
        found.sort((a, b) => {
          const x = key(a), y = key(b);
          return sign * (typeof x === "number" ? x - y : x < y ? -1 : x > y ? 1 : 0) || a - b;
        });
      }
      return found;
    };

    function draw() {
      const rows = chosen(), pages = Math.max(1, Math.ceil(rows.length / PAGE));
      state.page = Math.min(state.page, pages - 1);
      const shown = columns(), head = make("tr");
      for (const column of shown) {
        const isSorted = state.sort === column.name;
        const th = make("th", "", { scope: "col", class: column.n ? "n" : "" });
        if (isSorted) th.setAttribute("aria-sort", state.down ? "descending" : "ascending");
        const button = make("button", column.name + (isSorted ? (state.down ? " ↓" : " ↑") : ""), { type: "button" });
        button.addEventListener("click", () => {
          const again = state.sort === column.name;
          state.down = again ? !state.down : Boolean(column.n);
          state.sort = column.name;
          draw();
          [...table.tHead.querySelectorAll("button")][shown.indexOf(column)].focus();
        });
        th.append(button);
        head.append(th);
      }
      table.tHead.replaceChildren(head);
      const body = rows.slice(state.page * PAGE, (state.page + 1) * PAGE).map((k) => {
        const tr = make("tr");
        shown.forEach((column, place) => {
          const td = make(place ? "td" : "th", "", place ? { class: column.n ? "n" : "" } : { scope: "row" });
          const words = make("bdi", column.text(k));
          if (column.mark) td.className = isRight(run(), k) ? "right" : "wrong";
          if (!place && data.link) {
            const link = make("a", "", { href: data.link.replace("{number}", board.clips[k]) });
            link.append(words);
            td.append(link);
          } else td.append(words);
          tr.append(td);
        });
        return tr;
      });
      table.tBodies[0].replaceChildren(...body);
      const where = state.cell ? `label ${cell(state.cell[0])}, predicted ${cell(state.cell[1])}` +
        (run().seeds > 1 ? " by any seed" : "") + ": " : "";
      status.textContent = `${run().name}: ${where}${rows.length.toLocaleString("en")} of ${names.length.toLocaleString("en")} rows`;
      pager.hidden = pages < 2;
      pager.querySelector("span").textContent = `page ${state.page + 1} of ${pages}`;
      pager.querySelector("[data-step='-1']").disabled = state.page === 0;
      pager.querySelector("[data-step='1']").disabled = state.page === pages - 1;
    }

    function pick(number) {
      state.run = number;
      setCell(null);
      for (const each of section.querySelectorAll("article.run")) each.hidden = +each.dataset.run !== number;
      for (const each of section.querySelectorAll(".picker button"))
        each.setAttribute("aria-pressed", String(+each.dataset.run === number));
      draw();
    }

    function setCell(value, button) {
      state.cell = value;
      for (const each of section.querySelectorAll(".matrix button[aria-pressed=true]"))
        each.setAttribute("aria-pressed", "false");
      if (button) button.setAttribute("aria-pressed", "true");
    }

    for (const article of section.querySelectorAll("article.run"))
      for (const td of article.querySelectorAll("td[data-cell]")) {
        const [label, shown] = td.dataset.cell.split(",").map(Number);
        const button = make("button", td.textContent, { type: "button", "aria-pressed": "false",
          "aria-label": `${td.textContent}: label ${cell(label)}, predicted ${cell(shown)}` });
        button.addEventListener("click", () => {
          form.reset();
          Object.assign(state, { text: "", kind: "", label: "", shown: "", page: 0 });
          setCell([label, shown], button);
          draw();
          section.querySelector(".status").scrollIntoView({ block: "center" });
        });
        td.replaceChildren(button);
      }
    for (const button of section.querySelectorAll(".picker button"))
      button.addEventListener("click", () => pick(+button.dataset.run));
    for (const button of pager.querySelectorAll("button"))
      button.addEventListener("click", () => { state.page += +button.dataset.step; draw(); });
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", (event) => {
      state[event.target.name] = event.target.value;
      setCell(null);
      state.page = 0;
      draw();
    });
    form.addEventListener("reset", () => {
      Object.assign(state, { text: "", kind: "", label: "", shown: "", page: 0 });
      setCell(null);
      draw();
    });
    pick(0);
  }
})();
