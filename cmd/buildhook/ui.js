// Adds what the page has only with a script: Copy buttons, and the newest state without a reload.
"use strict";

function showCopyButtons(root) {
	for (const button of root.querySelectorAll("button.copy")) {
		button.hidden = false;
		button.addEventListener("click", async () => {
			await navigator.clipboard.writeText(button.dataset.copy);
			button.textContent = "Copied";
			setTimeout(() => { button.textContent = "Copy"; }, 1500);
		});
	}
}

// The element is replaced whole, but not while the keyboard is in it.
async function refresh() {
	const live = document.getElementById("live");
	const address = location.pathname.startsWith("/bc/") ? location.pathname.split("/").slice(0, 4).join("/") : location.href;
	const answer = await fetch(address, { credentials: "same-origin" });
	if (!answer.ok || live.contains(document.activeElement))
		return;
	const page = new DOMParser().parseFromString(await answer.text(), "text/html");
	const fresh = page.getElementById("live");
	if (fresh) {
		showCopyButtons(fresh);
		live.replaceWith(fresh);
	}
}

showCopyButtons(document);
if (document.getElementById("live")) {
	const version = document.getElementById("live").dataset.version;
	const events = new EventSource("/events?after=" + version);
	events.onmessage = refresh;
	// Ages grow.
	setInterval(refresh, 30000);
}
