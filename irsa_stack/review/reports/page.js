(function(){"use strict";
document.querySelectorAll("table[data-sortable]").forEach(function(table){
  var body=table.tBodies[0],rows=Array.prototype.slice.call(body.rows);
  Array.prototype.forEach.call(table.tHead.rows[0].cells,function(cell,at){
    var button=document.createElement("button");button.type="button";
    button.textContent=cell.textContent;cell.textContent="";cell.appendChild(button);
    button.addEventListener("click",function(){
      var up=cell.getAttribute("aria-sort")!=="ascending";
      Array.prototype.forEach.call(table.tHead.rows[0].cells,function(one){one.removeAttribute("aria-sort");});
      cell.setAttribute("aria-sort",up?"ascending":"descending");
      rows.sort(function(a,b){
        var x=a.cells[at].dataset.key||a.cells[at].textContent,y=b.cells[at].dataset.key||b.cells[at].textContent;
        return (x<y?-1:x>y?1:0)*(up?1:-1);});
      rows.forEach(function(row){body.appendChild(row);});});});
  var box=document.getElementById(table.dataset.filter);if(!box){return;}
  box.closest("p").hidden=false;
  var count=document.getElementById(table.dataset.count);
  box.addEventListener("input",function(){
    var words=box.value.toLowerCase().split(/\s+/).filter(Boolean),shown=0;
    rows.forEach(function(row){
      var text=row.textContent.toLowerCase();
      row.hidden=!words.every(function(word){return text.indexOf(word)>=0;});
      if(!row.hidden){shown+=1;}});
    count.textContent=shown+" of "+rows.length+" rows";});});
})();
