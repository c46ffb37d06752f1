/* Leader election by the lowest name, if a majority obeys it: docs/examples/lowest.py in C.
 *
 * A node for splitbrain's simulation: requests on standard input, answers on standard output, one JSON object a line.
 * The lines are those of splitbrain, whose keys come once in each, so a search for a key takes the place of a parser.
 *
 *     cc -O2 -o lowest lowest.c && splitbrain test lowest.toml --runtime sim
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES = 128, NAME = 64, REQUESTS = 1024 };
static const long long BEAT = 50 * 1000000LL, PATIENCE = 200 * 1000000LL; /* ns */

static char names[NODES][NAME]; /* names[0] is this node */
static long long heard[NODES];  /* when each node was heard last; -1 for never */
static long long obeyed[NODES]; /* when the beat was sent that each node obeyed last; -1 for none */
static int count, majority, obeys, wins;
static char boot[NAME];
static long long bound_until;
static struct { long long request, asked; } confirms[REQUESTS];
static int waiting;

static const char *value_of(const char *line, const char *key) {
    char quoted[NAME];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *found = strstr(line, quoted);
    return found ? found + strlen(quoted) : NULL;
}

static long long number(const char *line, const char *key) {
    const char *value = value_of(line, key);
    return value ? atoll(value) : -1;
}

static const char *text(const char *at, char *into) { /* copies the string at `at`, and returns what follows it */
    const char *from = strchr(at, '"') + 1, *to = strchr(from, '"');
    snprintf(into, NAME, "%.*s", (int)(to - from), from);
    return to + 1;
}

static void start(const char *line) {
    count = 0, obeys = -1, wins = 0, waiting = 0, bound_until = 0;
    text(value_of(line, "id"), names[count++]);
    text(value_of(line, "boot"), boot);
    const char *peers = value_of(line, "peers"), *end = strchr(peers, ']');
    for (const char *quote = strchr(peers, '"'); quote && quote < end && count < NODES; quote = strchr(quote, '"'))
        quote = text(quote, names[count++]);
    majority = count / 2 + 1;
    for (int i = 0; i < count; i++)
        heard[i] = obeyed[i] = -1;
}

static int obeyed_since(long long when) {
    int by = 1;
    for (int i = 1; i < count; i++)
        by += obeyed[i] >= 0 && obeyed[i] >= when;
    return by >= majority;
}

static int leads(long long at) { return obeys == 0 && obeyed_since(at - PATIENCE + 1); }

static int obey(int node, long long at) { /* 1 if this node obeys that one now */
    int lowest = 0;
    for (int i = 1; i < count; i++)
        if (heard[i] >= 0 && at - heard[i] < PATIENCE && strcmp(names[i], names[lowest]) < 0)
            lowest = i;
    if (node != lowest || (node != obeys && at < bound_until))
        return 0;
    obeys = node, bound_until = at + 2 * PATIENCE;
    return 1;
}

static const char *comma = "";

static void answer(long long request, const char *error) {
    if (error)
        printf("%s{\"effect\":\"answer\",\"request\":%lld,\"error\":\"%s\"}", comma, request, error);
    else
        printf("%s{\"effect\":\"answer\",\"request\":%lld,\"reign\":\"%s-%d\"}", comma, request, boot, wins);
    comma = ",";
}

static void answers(long long at, int won) { /* to the confirmations that a majority has acknowledged since */
    if (won && leads(at))
        wins++, printf("%s{\"effect\":\"led\",\"reign\":\"%s-%d\"}", comma, boot, wins), comma = ",";
    int left = 0;
    for (int i = 0; i < waiting; i++)
        if (!leads(at))
            answer(confirms[i].request, "not leading");
        else if (obeyed_since(confirms[i].asked))
            answer(confirms[i].request, NULL);
        else
            confirms[left++] = confirms[i];
    waiting = left;
}

static void send_to(int node, const char *kind, long long sent) {
    printf("%s{\"effect\":\"send\",\"to\":\"%s\",\"kind\":\"%s\",\"message\":{\"%s\":%lld}}", comma, names[node], kind, kind,
           sent);
    comma = ",";
}

static void beat_after(long long ns) {
    printf("%s{\"effect\":\"set_timer\",\"timer\":\"beat\",\"after\":%lld}", comma, ns);
    comma = ",";
}

static void handle(const char *line, const char *event, long long at) {
    int led = leads(at), sender = 0;
    char name[NAME];
    if (!strcmp(event, "started")) {
        bound_until = at + 2 * PATIENCE; /* the node that it obeyed before it died is forgotten */
        beat_after(0);
    } else if (!strcmp(event, "timer_fired")) {
        obey(0, at);
        for (int i = 1; i < count; i++)
            send_to(i, "beat", at);
        beat_after(BEAT);
    } else if (!strcmp(event, "confirm_asked") && waiting < REQUESTS) {
        confirms[waiting].request = number(line, "request");
        confirms[waiting++].asked = at;
    } else if (!strcmp(event, "received")) {
        text(value_of(line, "sender"), name);
        while (sender < count - 1 && strcmp(names[sender], name))
            sender++;
        long long beat = number(line, "beat"), answered = number(line, "obey");
        if (beat >= 0) {
            heard[sender] = at;
            if (obey(sender, at))
                send_to(sender, "obey", beat);
        } else if (answered > obeyed[sender]) {
            obeyed[sender] = answered;
        }
    }
    answers(at, !led);
}

static void status(long long at) {
    int leading = leads(at);
    printf("\"status\":{\"leading\":%s,\"role\":\"%s\"", leading ? "true" : "false", leading ? "leader" : "follower");
    if (leading)
        printf(",\"leader\":\"%s\",\"reign\":\"%s-%d\"", names[0], boot, wins);
    else if (obeys > 0)
        printf(",\"leader\":\"%s\"", names[obeys]);
    printf("}");
}

int main(void) {
    static char line[1 << 20];
    while (fgets(line, sizeof line, stdin)) {
        const char *event = value_of(line, "event");
        long long at = event ? number(line, "at") : 0;
        char name[NAME] = "start";
        if (event)
            text(event, name);
        printf("{\"timed\":true,");
        if (!event) {
            start(line);
        } else if (strcmp(name, "status")) {
            printf("\"effects\":["), comma = "";
            handle(line, name, at);
            printf("],");
        }
        status(at);
        printf("}\n");
        fflush(stdout);
    }
    return 0;
}
