// Read a SIM, and send it a text message: java Client.java BASE_URL ICCID TEXT
// Java has no JSON of its own; a real program would use a library for it.
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Client {
    static class PortalException extends Exception {
        PortalException(String message) {
            super(message);
        }
    }

    private final HttpClient http = HttpClient.newHttpClient();
    private final String url;
    private String token = "";

    Client(String url) {
        this.url = url;
    }

    String call(String method, String path, String body) throws PortalException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create(url + path))
            .timeout(Duration.ofSeconds(30))
            .header("Authorization", token)
            // Send a body only after the portal has agreed to take it.
            .expectContinue(body != null)
            .method(method, body == null ? BodyPublishers.noBody() : BodyPublishers.ofString(body))
            .build();
        HttpResponse<String> response;
        try {
            response = http.send(request, BodyHandlers.ofString());
        } catch (IOException error) {
            throw new PortalException(method.equals("PUT")
                ? "connection lost, the message may have been sent" : "connection lost");
        }
        if (response.statusCode() == 429) {
            String seconds = response.headers().firstValue("Retry-After").orElse("some");
            throw new PortalException("too many requests, wait " + seconds + " s");
        }
        if (response.statusCode() != 200) {
            throw new PortalException("status " + response.statusCode());
        }
        return response.body();
    }

    static String field(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\": \"?([^\",\n]*)").matcher(json);
        return found.find() ? found.group(1) : "";
    }

    void run(String iccid, String text) throws PortalException, InterruptedException {
        String login = call("POST", "/Login", "{\"clientId\": \"demo-client\", \"secretKey\": \"demo-secret\"}");
        token = field(login, "token");

        System.out.println("status: " + call("GET", "/getStatus/" + iccid, null));
        String usage = call("GET", "/ctdUsage/" + iccid, null);
        System.out.println("data usage: " + field(usage, "ctdDataUsage"));
        String session = call("GET", "/sessionInfo/" + iccid, null);
        boolean open = field(session, "dateSessionEnded").equals("null");
        System.out.println(open ? "in session: " + field(session, "ipAddress") : "not in session");
        String device = call("GET", "/GetDevice/" + iccid, null);
        System.out.println("device: " + field(device, "deviceID"));

        String sent = call("PUT", "/SendSMS/" + iccid + "/1", "{\"messageText\": \"" + text + "\"}");
        String message = call("GET", "/GetSMS/" + field(sent, "smsMsgId"), null);
        System.out.println("message: " + field(message, "messageText") + " (" + field(message, "status") + ")");
    }

    public static void main(String[] arguments) throws InterruptedException {
        try {
            new Client(arguments[0]).run(arguments[1], arguments[2]);
        } catch (PortalException error) {
            System.out.println("error: " + error.getMessage());
            System.exit(1);
        }
    }
}
