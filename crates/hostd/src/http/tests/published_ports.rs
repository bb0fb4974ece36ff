use serde_json::{Value, json};

use super::stub::{Stub, a_machine};

async fn with_box() -> Stub {
    let host = Stub::new();
    let created = host.post("/machines?wait=running", &a_machine("box")).await;
    assert_eq!(created.status, 201);
    host
}

#[tokio::test]
async fn a_port_is_published_listed_and_taken_back() {
    let host = with_box().await;
    let path = "/machines/box/published-ports";
    assert_eq!(host.get(path).await.json(), json!({"ports": []}));
    let web = json!({"published_port_id": "web", "name": "", "port": 8080, "protocol": ""});
    let created = host.post(path, &web).await;
    assert_eq!(created.status, 201);
    let mut port = created.json()["port"].clone();
    let operation = host.get(&format!("/operations/{}", created.operation())).await.json();
    assert_eq!(operation["operation"]["kind"], "create_published_port");
    assert_eq!(operation["operation"]["status"], 201);
    assert_eq!(host.get(path).await.json()["ports"], json!([port]));
    assert!(port["created_at"].take().is_string());
    assert_eq!(
        port,
        json!({
            "id": "web", "machine_id": "box", "name": "", "port": 8080, "host_port": 20001,
            "protocol": "tcp", "created_at": null,
        }),
        "somebody else listens on 20000"
    );
    let again = host.post(path, &web).await;
    assert_eq!((again.status.as_u16(), again.code().as_str()), (409, "exists"));
    assert_eq!(host.delete(&format!("{path}/web")).await.status, 204);
    assert_eq!(host.delete(&format!("{path}/web")).await.status, 204, "also when unknown");
    assert_eq!(host.delete("/machines/none/published-ports/web").await.status, 204);
    assert_eq!(host.get(path).await.json(), json!({"ports": []}));
}

#[tokio::test]
async fn an_http_port_says_by_which_host_name_it_is_reached() {
    let host = with_box().await;
    let path = "/machines/box/published-ports";
    let web = json!({"published_port_id": "w.1", "name": "web", "port": 8080, "http": true});
    let port = host.post(path, &web).await.json()["port"].clone();
    assert_eq!((&port["http"], &port["host_name"]), (&json!(true), &json!("web--box")));
    let other = json!({"published_port_id": "w.2", "name": "a_b", "port": 8080, "http": true});
    assert_eq!(host.post(path, &other).await.code(), "refused");
    let zero = json!({"published_port_id": "w.2", "port": 0});
    assert_eq!(host.post(path, &zero).await.code(), "refused");
    let unknown = host.post("/machines/none/published-ports", &web).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(host.get("/machines/none/published-ports").await.status, 404);
}

#[tokio::test]
async fn a_machine_says_its_relay_ports_and_keeps_them_while_it_is_stopped() {
    let host = with_box().await;
    let ports = |answer: Value| answer["machine"]["ports"].clone();
    let running = ports(host.get("/machines/box").await.json());
    assert_eq!(
        running,
        json!([
            {"name": "ssh", "port": 2222, "host_port": 40000, "protocol": "tcp"},
            {"name": "vnc", "port": 6080, "host_port": 45000, "protocol": "tcp"},
        ])
    );
    host.post("/machines/box/published-ports", &json!({"published_port_id": "web", "port": 80}))
        .await;
    assert_eq!(host.post("/machines/box/stop", &json!({})).await.status, 204);
    assert_eq!(ports(host.get("/machines/box").await.json()), running);
    let listed = host.get("/machines/box/published-ports").await.json();
    assert_eq!(listed["ports"][0]["host_port"], 20001);
}
