// The studio in MuseScore: fill the selected bars, go on, vary, chords, another take. Asks the studio on this machine
// (python -m studio serve), never the network. Cursor and XMLHttpRequest only, so that nothing else need be allowed.
// Tested in MuseScore 3.2.3; not tested in MuseScore 4.
// Install: copy this file into MuseScore's Plugins folder, then enable it in Plugins > Plugin Manager.
import QtQuick 2.9
import MuseScore 3.0

MuseScore {
    id: plugin
    menuPath: "Plugins.Studio"
    description: "Fill the selected bars, continue, vary or harmonise with the studio on this machine."
    version: "1.0"
    pluginType: "dialog"
    width: 380
    height: 270

    property string base: "http://127.0.0.1:8017"
    property string token: ""          // that of `serve`, where it asks for one
    property string startWith: ""      // "fill": do that at once and close
    property var selection: null       // of the last request, for another take
    property string lastVerb: ""

    function say(text) { status.text = text; }

    function leave() {
        if (typeof quit === "function") quit();
        else Qt.quit();
    }

    function ask(verb, body, done) {
        var request = new XMLHttpRequest();
        request.onreadystatechange = function() {
            if (request.readyState !== XMLHttpRequest.DONE) return;
            if (request.status === 0) { say("No studio at " + base + ". Start it with: python -m studio serve"); return; }
            var answer = JSON.parse(request.responseText);
            if (request.status === 200) done(answer);
            else if (request.status === 202) say("It takes longer than 10 s: see " + base + "/takes/" + answer.take);
            else say("The studio says: " + answer.detail);
        };
        request.open("POST", base + "/api/v1/score/" + verb);
        request.setRequestHeader("Content-Type", "application/json");
        if (token !== "") request.setRequestHeader("Authorization", "Bearer " + token);
        request.send(JSON.stringify(body));
    }

    // Ticks of the selection, from the first to after the last; `to` is 0 where nothing is selected.
    function selected() {
        var cursor = curScore.newCursor();
        cursor.rewind(1);
        if (!cursor.segment) return { from: 0, to: 0, track: 0 };
        var from = cursor.tick, track = cursor.staffIdx * 4;
        cursor.rewind(2);
        return { from: from, to: cursor.tick === 0 ? curScore.lastSegment.tick + 1 : cursor.tick, track: track };
    }

    // [tick, length of a whole note, MIDI pitch or null], the top note of a chord.
    function read(track) {
        var cursor = curScore.newCursor(), notes = [];
        cursor.track = track;
        cursor.rewind(0);
        while (cursor.segment) {
            var element = cursor.element;
            if (element && element.duration) {
                var pitch = null;
                if (element.notes) for (var i = 0; i < element.notes.length; i++) pitch = Math.max(pitch, element.notes[i].pitch);
                notes.push([cursor.tick, element.duration.numerator + "/" + element.duration.denominator, pitch]);
            }
            cursor.next();
        }
        while (notes.length && notes[notes.length - 1][2] === null) notes.pop();
        return notes;
    }

    function metre() {
        var cursor = curScore.newCursor();
        cursor.rewind(0);
        var signature = cursor.measure.timesigActual || cursor.measure.timesigNominal;
        return signature ? signature.numerator + "/" + signature.denominator : "4/4";
    }

    function keyName() {
        var names = ["Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#"];
        var cursor = curScore.newCursor();
        cursor.rewind(0);
        return names[(cursor.keySignature || 0) + 7] || "C";
    }

    function moveTo(cursor, tick) {
        cursor.rewind(0);
        while (cursor.segment && cursor.tick < tick) cursor.next();
        return cursor.segment !== null;
    }

    function ticks(length) {
        var parts = length.split("/");
        return 4 * division * Number(parts[0]) / Number(parts[1]);
    }

    function write(track, notes, from) {
        curScore.startCmd();
        var cursor = curScore.newCursor();
        cursor.track = track;
        var last = notes[notes.length - 1], end = last[0] + ticks(last[1]), bars = 0;
        while (curScore.lastSegment.tick < end && bars++ < 64) curScore.appendMeasures(1);
        var rests = [];
        if (moveTo(cursor, from)) {
            for (var i = 0; i < notes.length; i++) {
                var length = notes[i][1].split("/");
                cursor.setDuration(Number(length[0]), Number(length[1]));
                if (notes[i][2] !== null) cursor.addNote(notes[i][2], false);
                else if (cursor.addRest) cursor.addRest();
                else { rests.push(notes[i]); cursor.addNote(60, false); }
            }
        }
        curScore.endCmd();
        for (var k = 0; k < rests.length; k++) makeRest(track, rests[k]);
    }

    // MuseScore before 3.3 cannot write a rest: a note is written, which selects it, and deleted.
    function makeRest(track, rest) {
        var cursor = curScore.newCursor(), length = rest[1].split("/");
        cursor.track = track;
        if (!moveTo(cursor, rest[0])) return;
        curScore.startCmd();
        cursor.setDuration(Number(length[0]), Number(length[1]));
        cursor.addNote(60, false);
        curScore.endCmd();
        cmd("delete");
    }

    function writeChords(track, chords) {
        curScore.startCmd();
        var cursor = curScore.newCursor();
        cursor.track = track;
        for (var i = 0; i < chords.length; i++) {
            if (!moveTo(cursor, chords[i][0])) continue;
            var symbol = newElement(Element.HARMONY);
            symbol.text = chords[i][1];
            cursor.add(symbol);
        }
        curScore.endCmd();
    }

    function edit(verb, isAgain) {
        if (!curScore) { say("Open a score first."); return; }
        var where = isAgain && selection ? selection : selected();
        var notes = isAgain && selection ? selection.notes : read(where.track);
        if (!notes.length) { say("There are no notes in the first voice of this staff."); return; }
        selection = { from: where.from, to: where.to, track: where.track, notes: notes };
        lastVerb = verb;
        say("Asking the studio ...");
        var body = { division: division, metre: metre(), key: keyName(), notes: notes, from: where.from, to: where.to };
        ask(verb, body, function(answer) {
            var written = answer.chords || answer.notes;
            if (answer.chords) writeChords(where.track, answer.chords);
            else write(where.track, answer.notes, answer.from);
            say(written.length + (answer.chords ? " chords" : " notes") + " written. Undo takes them back.");
            if (startWith !== "") leave();
        });
    }

    Column {
        anchors.fill: parent
        anchors.margins: 12
        spacing: 8
        Text { text: "Select bars of one staff, then:"; font.bold: true }
        Repeater {
            model: [["fill", "Fill the selected bars"], ["vary", "Vary them"], ["continue", "Go on after the end"],
                    ["harmonise", "Chord symbols"], ["again", "Another take"]]
            delegate: Rectangle {
                width: 356; height: 28; radius: 4
                color: area.pressed ? "#a9cfc0" : "#e3f3ec"
                border.color: activeFocus ? "#005a8c" : "#00664a"
                activeFocusOnTab: true
                Keys.onReturnPressed: area.act()
                Keys.onSpacePressed: area.act()
                Text { anchors.centerIn: parent; text: modelData[1]; color: "#1c1d1f" }
                MouseArea {
                    id: area
                    anchors.fill: parent
                    function act() {
                        if (modelData[0] !== "again") edit(modelData[0], false);
                        else if (lastVerb !== "") edit(lastVerb, true);
                        else say("Fill, vary or go on first.");
                    }
                    onClicked: act()
                }
            }
        }
        Text { id: status; width: 356; wrapMode: Text.Wrap; text: "" }
    }

    onRun: { if (startWith !== "") edit(startWith, false); }
}
